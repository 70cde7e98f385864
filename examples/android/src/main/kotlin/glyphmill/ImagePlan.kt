package glyphmill

import kotlin.math.max
import kotlin.math.roundToInt

data class Size(val width: Int, val height: Int)

/** How a stored picture is turned to stand upright: mirrored left to right first, then turned clockwise. */
data class Turn(val mirrors: Boolean, val degrees: Int)

/** What is done to a picture. [sample] and [stored] are of the picture as it lies in the file, before [turn]. */
data class ImagePlan(val sample: Int, val stored: Size, val turn: Turn)

/**
 * Makes a picture at most [maxWidth] pixels wide once it stands upright, in its proportions, and never larger.
 * [orientation] is EXIF's, 1 to 8; others count as upright.
 */
fun planImage(stored: Size, orientation: Int, maxWidth: Int = 1024): ImagePlan {
  require(stored.width > 0 && stored.height > 0) { "expected a picture, got ${stored.width} × ${stored.height} pixels" }
  require(maxWidth > 0) { "expected a width above 0, got $maxWidth" }
  val turn = turnOf(orientation)
  val uprightWidth = if (turn.degrees % 180 == 0) stored.width else stored.height
  val scale = minOf(1.0, maxWidth.toDouble() / uprightWidth)
  val target = Size(scaled(stored.width, scale), scaled(stored.height, scale))
  return ImagePlan(sampleOf(scale), target, turn)
}

fun turnOf(orientation: Int): Turn =
  when (orientation) {
    2 -> Turn(mirrors = true, degrees = 0)
    3 -> Turn(mirrors = false, degrees = 180)
    4 -> Turn(mirrors = true, degrees = 180)
    5 -> Turn(mirrors = true, degrees = 270)
    6 -> Turn(mirrors = false, degrees = 90)
    7 -> Turn(mirrors = true, degrees = 90)
    8 -> Turn(mirrors = false, degrees = 270)
    else -> Turn(mirrors = false, degrees = 0)
  }

private fun scaled(length: Int, scale: Double): Int = max(1, (length * scale).roundToInt())

/** The decoder drops pixels by powers of two, which saves memory; it must leave at least as many as are wanted. */
private fun sampleOf(scale: Double): Int {
  var sample = 1
  while (sample * 2 * scale <= 1.0) sample *= 2
  return sample
}
