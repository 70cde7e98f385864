package glyphmill

import com.sun.net.httpserver.HttpExchange
import com.sun.net.httpserver.HttpServer
import java.net.InetAddress
import java.net.InetSocketAddress
import java.util.concurrent.ConcurrentLinkedQueue
import kotlin.test.AfterTest
import kotlin.test.Test
import kotlin.test.assertContentEquals
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith

class OcrUploadTest {
  private class Seen(val line: String, val headers: Map<String, String?>, val body: ByteArray)

  private class Answer(val status: Int, val body: String, val retryAfter: String? = null)

  private val seen = ConcurrentLinkedQueue<Seen>()
  private val answers = ConcurrentLinkedQueue<Answer>()
  private val server = HttpServer.create(InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0)
  private val client: OcrClient

  init {
    server.createContext("/") { it.answer() }
    server.start()
    client = OcrClient("http://127.0.0.1:${server.address.port}/", "gm_key", timeoutMs = 10_000)
  }

  @AfterTest fun stop() = server.stop(0)

  @Test
  fun `the picture goes as the form's image with the key, and the text comes back`() {
    answers += Answer(200, """{"text":"Grüße 一"}""")
    val jpeg = byteArrayOf(-1, -40, 13, 10, 45, 45, 0, 127)
    assertEquals("Grüße 一", client.recognize(jpeg))
    val request = seen.single()
    assertEquals("POST /v1/recognize", request.line)
    assertEquals("Bearer gm_key", request.headers["authorization"])
    val boundary = request.headers["content-type"]!!.substringAfter("multipart/form-data; boundary=")
    val text = request.body.toString(Charsets.ISO_8859_1)
    val (head, rest) = text.split("\r\n\r\n", limit = 2)
    assertEquals("--$boundary", head.lines().first())
    assertEquals(true, head.contains("name=\"image\"; filename=\"image.jpg\""))
    assertContentEquals(jpeg, rest.removeSuffix("\r\n--$boundary--\r\n").toByteArray(Charsets.ISO_8859_1))
  }

  @Test
  fun `a problem is told with its code and not asked about again`() {
    answers += Answer(422, """{"code":"job-failed","detail":"The image is broken.","retryable":false}""")
    val error = assertFailsWith<OcrException> { client.recognize(byteArrayOf(1)) }
    assertEquals(listOf(422, "job-failed", false, null), listOf(error.status, error.code, error.isRetryable, error.retryAfterSeconds))
    assertEquals(1, seen.size)
  }

  @Test
  fun `a busy service is asked again when it says`() {
    answers += Answer(429, """{"code":"queue-full","detail":"Full.","retryable":true}""", retryAfter = "1")
    answers += Answer(200, """{"text":"later"}""")
    val start = System.nanoTime()
    assertEquals("later", client.recognize(byteArrayOf(1)))
    assertEquals(true, System.nanoTime() - start >= 1_000_000_000)
    assertEquals(2, seen.size)
  }

  @Test
  fun `nobody waits for an hour, and attempts come to an end`() {
    answers += Answer(503, "<html>", retryAfter = "3600")
    val long = assertFailsWith<OcrException> { client.recognize(byteArrayOf(1)) }
    assertEquals(listOf("unknown", true, 3600L), listOf(long.code, long.isRetryable, long.retryAfterSeconds))
    repeat(2) { answers += Answer(503, "{}", retryAfter = "0") }
    assertFailsWith<OcrException> { client.recognize(byteArrayOf(1), attempts = 2) }
    assertEquals(3, seen.size)
  }

  @Test
  fun `a job that is not done in time is no text`() {
    answers += Answer(202, """{"id":"job_1","status":"queued"}""")
    val error = assertFailsWith<OcrException> { client.recognize(byteArrayOf(1)) }
    assertEquals("202 unfinished: job job_1 is not done yet", error.message)
  }

  private fun HttpExchange.answer() {
    val names = requestHeaders.keys.associate { it.lowercase() to requestHeaders.getFirst(it) }
    seen += Seen("$requestMethod $requestURI", names, requestBody.readBytes())
    val answer = answers.remove()
    answer.retryAfter?.let { responseHeaders["Retry-After"] = listOf(it) }
    val bytes = answer.body.toByteArray()
    sendResponseHeaders(answer.status, bytes.size.toLong())
    responseBody.use { it.write(bytes) }
  }
}
