-- Claims a job for an attempt. An earlier attempt that is still 'running' here and had begun to read the document
-- died without a word: that counts as a crash, unless it is this very worker's, which has only lost its lock.
-- KEYS  1 record
-- ARGV  1 token of the new attempt  2 now (ms)  3 worker
-- Returns {'missing'}, {'final'} or {'claimed', tenant, task, createdAt, attempt, crashes}.
local record = redis.call('HMGET', KEYS[1], 'status', 'tenant', 'task', 'createdAt', 'begunBy')
local status = record[1]
if not status then
  return { 'missing' }
end
if status ~= 'queued' and status ~= 'running' then
  return { 'final' }
end
local crashed = status == 'running' and record[5] and record[5] ~= ARGV[3]
local crashes = redis.call('HINCRBY', KEYS[1], 'crashes', crashed and 1 or 0)
local attempt = redis.call('HINCRBY', KEYS[1], 'attempt', 1)
redis.call('HSET', KEYS[1], 'status', 'running', 'token', ARGV[1], 'startedAt', ARGV[2], 'pagesDone', 0)
redis.call('HDEL', KEYS[1], 'pagesTotal', 'begunBy')
redis.call('PERSIST', KEYS[1])
return { 'claimed', record[2], record[3], record[4], attempt, crashes }
