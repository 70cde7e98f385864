-- Ends the work on a batch.
-- KEYS  1 record  2 batches with work
-- ARGV  2 token  3 batch id  4 now (ms)  5 the same as text  6 how ingestion ended, or '' when the work was another
--       7 its error, or ''
-- Returns 'ok' or 'fenced'.
local record = redis.call('HMGET', KEYS[1], 'worker', 'tenant')
if record[1] ~= ARGV[2] then
  return 'fenced'
end
if ARGV[6] ~= '' then
  redis.call('HSET', KEYS[1], 'error', ARGV[7])
  endIngest(ARGV[3], record[2], ARGV[6])
end
redis.call('HDEL', KEYS[1], 'work', 'workIndex', 'worker')
redis.call('ZREM', KEYS[2], ARGV[3])
completeBatch(ARGV[3], tonumber(ARGV[4]), ARGV[5])
-- Where nothing had to be tried again it has been complete all the time, and whoever waits is told.
if redis.call('HEXISTS', KEYS[1], 'finishedAt') == 1 then
  redis.call('PUBLISH', key('changed', ARGV[3]), 'completed')
end
return 'ok'
