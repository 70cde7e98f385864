package glyphmill

import android.app.Activity
import android.content.Intent
import android.net.Uri
import android.os.Bundle
import android.widget.TextView
import java.io.File
import java.io.FileNotFoundException
import java.io.IOException
import kotlin.concurrent.thread

/**
 * Asks for a picture, sends it and shows its text. Needs the permission INTERNET. An app that others install must not
 * carry a key of the service: let a server of yours hand the picture on.
 */
class SampleActivity : Activity() {
  private lateinit var view: TextView

  override fun onCreate(state: Bundle?) {
    super.onCreate(state)
    view = TextView(this)
    setContentView(view)
    if (state == null) startActivityForResult(Intent(Intent.ACTION_GET_CONTENT).setType("image/*"), PICK)
  }

  override fun onActivityResult(request: Int, result: Int, data: Intent?) {
    super.onActivityResult(request, result, data)
    val picture = data?.data
    if (request != PICK || result != RESULT_OK || picture == null) return
    view.text = "…"
    thread {
      val text = try { read(picture) } catch (error: IOException) { error.message }
      runOnUiThread { view.text = text }
    }
  }

  private fun read(picture: Uri): String {
    // A file, since both the decoder and the reader of EXIF go over it from the start.
    val file = File.createTempFile("picture", null, cacheDir)
    try {
      val input = contentResolver.openInputStream(picture) ?: throw FileNotFoundException("$picture")
      input.use { from -> file.outputStream().use { from.copyTo(it) } }
      return OcrClient(BASE_URL, KEY).recognize(compressImage(file))
    } finally {
      file.delete()
    }
  }

  private companion object {
    const val PICK = 1
    const val BASE_URL = "https://ocr.example.com"
    const val KEY = "the key that glyphmill key create printed"
  }
}
