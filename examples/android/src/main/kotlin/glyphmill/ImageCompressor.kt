package glyphmill

import android.graphics.Bitmap
import android.graphics.BitmapFactory
import android.graphics.Matrix
import android.media.ExifInterface
import java.io.ByteArrayOutputStream
import java.io.File
import java.io.IOException

/**
 * The picture as an upright JPEG of at most [maxWidth] pixels' width. Call it off the main thread. Throws
 * [IOException] where the file is no picture.
 */
fun compressImage(file: File, maxWidth: Int = 1024, quality: Int = 80): ByteArray {
  val bounds = BitmapFactory.Options().apply { inJustDecodeBounds = true }
  BitmapFactory.decodeFile(file.path, bounds)
  if (bounds.outWidth <= 0) throw IOException("$file is no picture that Android can read")
  val orientation =
    ExifInterface(file.path).getAttributeInt(ExifInterface.TAG_ORIENTATION, ExifInterface.ORIENTATION_NORMAL)
  val plan = planImage(Size(bounds.outWidth, bounds.outHeight), orientation, maxWidth)
  val options = BitmapFactory.Options().apply { inSampleSize = plan.sample }
  val decoded = BitmapFactory.decodeFile(file.path, options) ?: throw IOException("$file cannot be decoded")
  val upright = decoded.follow(plan)
  try {
    val out = ByteArrayOutputStream()
    if (!upright.compress(Bitmap.CompressFormat.JPEG, quality, out)) throw IOException("$file cannot be compressed")
    return out.toByteArray()
  } finally {
    upright.recycle()
  }
}

/** Scaled and turned in one step; recycles the receiver unless it is the result, as it is where nothing changes. */
private fun Bitmap.follow(plan: ImagePlan): Bitmap {
  val matrix = Matrix()
  matrix.setScale(plan.stored.width.toFloat() / width, plan.stored.height.toFloat() / height)
  if (plan.turn.mirrors) matrix.postScale(-1f, 1f)
  matrix.postRotate(plan.turn.degrees.toFloat())
  var result: Bitmap? = null
  try {
    result = Bitmap.createBitmap(this, 0, 0, width, height, matrix, true)
    return result
  } finally {
    if (result !== this) recycle()
  }
}
