package glyphmill

import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertTrue

class ImagePlanTest {
  @Test
  fun `a wide picture becomes as wide as allowed, in its proportions`() {
    val plan = planImage(Size(4032, 3024), orientation = 1)
    assertEquals(Size(1024, 768), plan.stored)
    assertEquals(Size(512, 384), planImage(Size(4032, 3024), 1, maxWidth = 512).stored)
  }

  @Test
  fun `a small picture is left as it is`() {
    val plan = planImage(Size(640, 5000), orientation = 1)
    assertEquals(ImagePlan(1, Size(640, 5000), Turn(mirrors = false, degrees = 0)), plan)
    assertEquals(Size(1024, 10), planImage(Size(1024, 10), 1).stored)
  }

  @Test
  fun `the width is that of the picture as it stands upright`() {
    // 3024 wide once turned.
    assertEquals(Size(1365, 1024), planImage(Size(4032, 3024), orientation = 6).stored)
    assertEquals(Size(4000, 900), planImage(Size(4000, 900), orientation = 8).stored)
  }

  @Test
  fun `the decoder leaves at least the pixels that are wanted, and less than twice as many a side`() {
    for (width in listOf(1, 1023, 1024, 1025, 2047, 2048, 2049, 4096, 12000)) {
      val plan = planImage(Size(width, 500), orientation = 1)
      val decoded = width / plan.sample
      assertTrue(decoded >= plan.stored.width, "$width gives $decoded")
      assertTrue(decoded < 2 * plan.stored.width || width == 1, "$width gives $decoded")
    }
  }

  @Test
  fun `a strip keeps one pixel of height`() {
    assertEquals(Size(1024, 1), planImage(Size(100_000, 1), 1).stored)
  }

  @Test
  fun `every EXIF orientation puts the first pixel and the first row where EXIF says`() {
    // EXIF 2.3, tag 0x0112: the sides at which row 0 and column 0 are seen; the corner where they meet has pixel 0.
    val sides =
      mapOf(
        1 to Pair("top", "left"),
        2 to Pair("top", "right"),
        3 to Pair("bottom", "right"),
        4 to Pair("bottom", "left"),
        5 to Pair("left", "top"),
        6 to Pair("right", "top"),
        7 to Pair("right", "bottom"),
        8 to Pair("left", "bottom"),
      )
    val middles = mapOf("top" to Pair(0, -1), "right" to Pair(1, 0), "bottom" to Pair(0, 1), "left" to Pair(-1, 0))
    for ((orientation, expected) in sides) {
      val turn = turnOf(orientation)
      assertEquals(middles[expected.first], turn.moves(Pair(0, -1)), "row 0 of orientation $orientation")
      assertEquals(middles[expected.second], turn.moves(Pair(-1, 0)), "column 0 of orientation $orientation")
    }
    assertEquals(turnOf(1), turnOf(0))
  }

  @Test
  fun `what is no size is refused`() {
    assertFailsWith<IllegalArgumentException> { planImage(Size(0, 10), 1) }
    assertFailsWith<IllegalArgumentException> { planImage(Size(10, 10), 1, maxWidth = 0) }
  }

  /** Of a point around the middle; y grows downwards. */
  private fun Turn.moves(point: Pair<Int, Int>): Pair<Int, Int> {
    var (x, y) = point
    if (mirrors) x = -x
    repeat(degrees / 90) { x = -y.also { y = x } }
    return Pair(x, y)
  }
}
