-- Writes a job's record, provided the queue has room. The record expires by itself unless the queue
-- takes the job: a producer that dies in between leaves nothing behind.
-- KEYS  1 record  2 the tenant's jobs  3 expiry index  4.. the queue's waiting lists and sets
-- ARGV  1 job id  2 tenant  3 task  4 now (ms)  5 provisional lifetime (ms)  6 most jobs that may wait
-- Returns 'created' or 'full'.
local waiting = 0
for index = 4, #KEYS do
  local kind = redis.call('TYPE', KEYS[index]).ok
  if kind == 'list' then
    waiting = waiting + redis.call('LLEN', KEYS[index])
  elseif kind == 'zset' then
    waiting = waiting + redis.call('ZCARD', KEYS[index])
  end
end
if waiting >= tonumber(ARGV[6]) then
  return 'full'
end
redis.call('HSET', KEYS[1], 'id', ARGV[1], 'tenant', ARGV[2], 'task', ARGV[3], 'status', 'queued',
  'createdAt', ARGV[4], 'attempt', 0, 'crashes', 0)
redis.call('PEXPIRE', KEYS[1], ARGV[5])
redis.call('ZADD', KEYS[2], ARGV[4], ARGV[1])
-- Should the producer die before the queue has the job, the sweep of a later commit takes the name out again.
redis.call('ZADD', KEYS[3], ARGV[4] + ARGV[5], ARGV[2] .. '\n' .. ARGV[1])
return 'created'
