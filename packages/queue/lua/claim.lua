-- Claims a job for an attempt. An earlier attempt that is still 'running' here and had begun to read the document
-- died without a word: that counts as a crash, unless it is this very worker's, which has only lost its lock.
-- KEYS  1 record
-- ARGV  2 token of the new attempt  3 now (ms)  4 worker  5 round that the attempt is of
-- Returns {'missing'}, {'final'}: the job or this round of it, or {'claimed', tenant, task, createdAt, attempt, crashes, ms left until the
-- deadline or '', status}: with the status 'canceling' the attempt has only to end the job.
local record = redis.call('HMGET', KEYS[1], 'status', 'tenant', 'task', 'createdAt', 'begunBy', 'id', 'deadline', 'round', 'attempt', 'crashes')
local status = record[1]
if not status then
  return { 'missing' }
end
if not isOpen(status) or (record[8] or '0') ~= ARGV[5] then
  return { 'final' }
end
-- Counts that are damaged begin anew: an error here would keep the job open for good.
if not tonumber(record[9] or '0') or not tonumber(record[10] or '0') then
  redis.call('HDEL', KEYS[1], 'attempt', 'crashes')
end
local crashed = status ~= 'queued' and record[5] and record[5] ~= ARGV[4]
local crashes = redis.call('HINCRBY', KEYS[1], 'crashes', crashed and 1 or 0)
local attempt = redis.call('HINCRBY', KEYS[1], 'attempt', 1)
-- Of a canceled batch none is begun that the cancellation has not come to yet.
local now = (status == 'canceling' or isCanceledBatch(KEYS[1])) and 'canceling' or 'running'
redis.call('HSET', KEYS[1], 'status', now, 'token', ARGV[2], 'startedAt', ARGV[3])
redis.call('HDEL', KEYS[1], 'begunBy')
redis.call('ZREM', key('waiting'), record[6])
-- An attempt that only ends the job leaves it what an earlier one has read.
if now == 'running' then
  redis.call('HSET', KEYS[1], 'pagesDone', 0)
  redis.call('HDEL', KEYS[1], 'pagesTotal', 'pagesFailed')
  restorePages(KEYS[1])
  redis.call('DEL', key('pages', record[6]))
end
countInBatch(KEYS[1], status, now)
announce(KEYS[1], record[6], now)
local deadline = tonumber(record[7] or '')
local left = deadline and string.format('%d', deadline - clockMs()) or ''
return { 'claimed', record[2], record[3], record[4], attempt, crashes, left, now }
