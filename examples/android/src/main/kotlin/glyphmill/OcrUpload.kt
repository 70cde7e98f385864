package glyphmill

import java.io.IOException
import java.net.HttpURLConnection
import java.net.URL
import java.util.UUID
import org.json.JSONException
import org.json.JSONObject

/** An answer of the service that is no result. [retryAfterSeconds]: when to ask again, where the service said so. */
class OcrException(
  val status: Int,
  val code: String,
  detail: String,
  val isRetryable: Boolean,
  val retryAfterSeconds: Long?,
) : IOException("$status $code: $detail")

/** Reads images by `POST /v1/recognize`. [baseUrl] is https outside of tests; the key is sent to no other host. */
class OcrClient(private val baseUrl: String, private val key: String, private val timeoutMs: Int = 60_000) {
  /**
   * The text of a JPEG. Tries again, [attempts] times in all, where the service says that it helps and when. Blocks:
   * call it off the main thread. Throws [OcrException], and [IOException] where no answer came.
   */
  fun recognize(jpeg: ByteArray, attempts: Int = 3): String {
    for (attempt in 1..attempts) {
      try {
        return post(jpeg)
      } catch (error: OcrException) {
        val seconds = error.retryAfterSeconds ?: attempt.toLong()
        if (!error.isRetryable || attempt == attempts || seconds > MAX_WAIT_SECONDS) throw error
        Thread.sleep(seconds * 1000)
      }
    }
    throw IllegalArgumentException("expected at least 1 attempt, got $attempts")
  }

  private fun post(jpeg: ByteArray): String {
    val boundary = UUID.randomUUID().toString()
    val body = multipartBody(jpeg, boundary)
    val connection = URL("${baseUrl.trimEnd('/')}/v1/recognize").openConnection() as HttpURLConnection
    try {
      connection.requestMethod = "POST"
      connection.connectTimeout = timeoutMs
      connection.readTimeout = timeoutMs
      connection.instanceFollowRedirects = false
      connection.doOutput = true
      connection.setFixedLengthStreamingMode(body.size)
      connection.setRequestProperty("Authorization", "Bearer $key")
      connection.setRequestProperty("Content-Type", "multipart/form-data; boundary=$boundary")
      connection.setRequestProperty("Accept", "application/json")
      connection.outputStream.use { it.write(body) }
      val status = connection.responseCode
      val stream = if (status < 400) connection.inputStream else connection.errorStream
      val text = stream?.use { it.readBytes().toString(Charsets.UTF_8) } ?: ""
      if (status == 202) throw unfinished(text)
      if (status != 200) throw problemOf(status, text, connection.getHeaderField("Retry-After"))
      return JSONObject(text).getString("text")
    } finally {
      connection.disconnect()
    }
  }

  private companion object {
    const val MAX_WAIT_SECONDS = 60L
  }
}

/** One file named `image`, as RFC 7578 has it. */
fun multipartBody(jpeg: ByteArray, boundary: String): ByteArray {
  val head =
    "--$boundary\r\nContent-Disposition: form-data; name=\"image\"; filename=\"image.jpg\"\r\n" +
      "Content-Type: image/jpeg\r\n\r\n"
  return head.toByteArray() + jpeg + "\r\n--$boundary--\r\n".toByteArray()
}

/** The service took the image, but had not read it in time: `GET /v1/jobs/<id>` tells of it later. */
private fun unfinished(body: String): OcrException {
  val id = JSONObject(body).getString("id")
  return OcrException(202, "unfinished", "job $id is not done yet", isRetryable = false, retryAfterSeconds = null)
}

/** Of a Problem body; of anything else, as a proxy before the service sends it, by the status alone. */
fun problemOf(status: Int, body: String, retryAfter: String?): OcrException {
  val problem = try { JSONObject(body) } catch (_: JSONException) { JSONObject() }
  return OcrException(
    status,
    problem.optString("code", "unknown"),
    problem.optString("detail", "no detail"),
    problem.optBoolean("retryable", status == 429 || status in 502..504),
    retryAfter?.toLongOrNull(),
  )
}
