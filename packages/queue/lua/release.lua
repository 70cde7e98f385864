-- Ends an attempt without ending the job: it goes back to the queue.
-- KEYS  1 record
-- ARGV  2 token
-- Returns 'ok', 'fenced' or 'canceling': the attempt has to end the job instead.
local record = redis.call('HMGET', KEYS[1], 'token', 'status', 'id')
if record[1] ~= ARGV[2] then
  return 'fenced'
end
if record[2] == 'canceling' then
  return 'canceling'
end
redis.call('HSET', KEYS[1], 'status', 'queued')
redis.call('HDEL', KEYS[1], 'token', 'begunBy')
restorePages(KEYS[1])
redis.call('ZADD', key('waiting'), clockMs(), record[3])
countInBatch(KEYS[1], record[2], 'queued')
announce(KEYS[1], record[3], 'queued')
return 'ok'
