-- What there is to do, and how fast it is done: what the number of workers is decided by.
-- KEYS  1 load
-- ARGV  2 a worker that has said nothing for so long is gone (ms)
-- Returns open jobs, those whose pages are known, pages left of these; documents and their pages of late; paused (0 or
-- 1); workers, how many of them have measured their rate, the sum of these rates; the last rate that was known, or ''.
local load = redis.call('HMGET', KEYS[1], 'jobs', 'known', 'pages')
local seen = redis.call('HMGET', key('document-pages'), 'documents', 'pages')
local now, rates = clockMs(), redis.call('HGETALL', key('rates'))
local workers, measured, sum = 0, 0, 0
for index = 1, #rates, 2 do
  local at, rate = string.match(rates[index + 1], '^(%d+) (.*)$')
  if now - at > tonumber(ARGV[2]) then
    redis.call('HDEL', key('rates'), rates[index])
  else
    workers = workers + 1
    if rate ~= '' then
      measured, sum = measured + 1, sum + rate
    end
  end
end
return {
  load[1] or '0', load[2] or '0', load[3] or '0', seen[1] or '0', seen[2] or '0',
  redis.call('HEXISTS', key('documents', 'meta'), 'paused'), workers, measured, tostring(sum),
  redis.call('GET', key('last-rate')) or '',
}
