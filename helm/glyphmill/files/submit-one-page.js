// Submits one page with the words "GLYPHMILL 2026", waits for its text, and prints it. For `helm test`.
const { GLYPHMILL_URL: url, GLYPHMILL_API_KEY: key, TIMEOUT_SECONDS: timeout } = process.env;
const page =
  'iVBORw0KGgoAAAANSUhEUgAAAaQAAABaAgMAAACKzcp7AAAADFBMVEX///8GBgZsbGy6urqBej3KAAAACXBIWXMAAAsTAAAL' +
  'EwEAmpwYAAADI0lEQVRo3u2Wv2/TQBTHn215sIRh8p/gP8FrY4o6MCBl8LOtECQv3Yrkhd0LAzvuf9AhBqmsSEj1wgib/4Qs' +
  'LHQtQg3vnZ1LIEfOyYTQfVVdrne++5zfLx+AkZGRkZGRkZGRkZHRfyGnuabmJ/8BTNrJin4f3dLQLUx4aNXCpJ8UDeukaal9' +
  'yK3z7T2s+zotES/ATsBJ6Z+g6hBL8KYA/hzChIawgBqsnHqi4W0RuRfiXKyuqF9jrgXZiJgyCWo6Vg1EyiQp5fkdkktLWnD4' +
  'QWqQn0VMtKQIb+6wZVIQg51B11yhJCFtryDN7jEGK/2KRLpe0tIovX+rJQVsAkGKCvBz6FoHK0lq6bi7pBaCArw5dJVzAX5G' +
  'm5TwQEtiM/uCREuJ0NE25Zp0XoF3vkOiTd0pHywsga3YG14beWnvLSJZCS8lUlisSWcxuGc7JBCnCmmu4H693mS/rESS6Pmu' +
  'YlIkSU9LiF6rSDQZVMKdTLKTESQ/lySyARmCSK4kPSMLfdaTrHwEicwgScFpBr+/0+MpBK7SesKh/nwgzTnVdaTphhS9zP8g' +
  'neZwqSS5W6SUfutUGxPuFsnjJOxjb9Y0CyI9SSBTkih06mGActB7gVgcQrKoDjGpjj1KfeTwypxESepiSSJPezi7ykeQnKap' +
  'BMnh3OqaBbaSdGnnShLn0DAQTYlUcf7qSYhxH6c1n1bUvcF6cWBNVSQr25A6KsipyN/DSYWse3H4pVCR3LkkOVSxvB6s99Nq' +
  'uU1qbmBDit6UKhLVuTWJzeYlwr8j8incJrWwRXJfxSqScGgf5fx6nP5BpasR+0nkawXJTkGS+PXGkfK9JB9bBcnLxedZPEZu' +
  'EhNakp3tJVkIClJYiEXsZI5CUaa1fhLR+XcSHURBqqu+TNAnit3U3w20ha+O95E4OndIwk08TvPsJi59gPqvO1fVw0jCTdzS' +
  'u2Hbv6SV6Ys5vltQ5nL52UfiG5RoxCWHr2EWfkRxNyJY+Hw57haWwREk4JvXQHJH1HK+IOKHo0gh7T6QbMQRdxb48enIa/b3' +
  'Tf/kyD2MjIyMjIyMjIyMjIz+ff0C2d5bBXkp67QAAAAASUVORK5CYII=';

const endsAt = Date.now() + Number(timeout) * 1000;
const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };

async function call(path, init) {
  const signal = AbortSignal.timeout(Math.max(1000, endsAt - Date.now() + 5000));
  const response = await fetch(`${url}${path}`, { ...init, headers, signal });
  const text = await response.text();
  if (!response.ok) throw new Error(`${path} answered ${response.status}: ${text}`);
  return text;
}

const source = { type: 'inline', contentType: 'image/png', data: page };
let job = JSON.parse(await call('/v1/jobs', { method: 'POST', body: JSON.stringify({ source }) }));
console.log(`submitted ${job.id}`);
while (job.status === 'queued' || job.status === 'running') {
  const left = Math.floor((endsAt - Date.now()) / 1000);
  if (left <= 0) throw new Error(`${job.id} is still ${job.status} after ${timeout} s; do workers run?`);
  job = JSON.parse(await call(`/v1/jobs/${job.id}?wait=${Math.min(20, left)}`));
}
if (job.status !== 'succeeded')
  throw new Error(`${job.id} ended as ${job.status}: ${JSON.stringify(job.error)}`);
console.log(`read: ${await call(`/v1/jobs/${job.id}/result?format=text`)}`);
