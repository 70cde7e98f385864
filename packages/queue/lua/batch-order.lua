-- Has the jobs of a batch canceled, or those that failed tried again: by whoever takes the work, a few at a time.
-- KEYS  1 record  2 batches with work
-- ARGV  2 'cancel' or 'retry'  3 batch id  4 tenant  5 now (ms)  6 the same as text
-- Returns 'missing', 'final', 'busy': its jobs are still being made or canceled, or 'ok'.
local record = redis.call('HMGET', KEYS[1], 'tenant', 'ingest', 'finishedAt', 'cancelAt', 'work')
local tenant, ingest, finishedAt, cancelAt, work = unpack(record)
if not tenant or tenant ~= ARGV[4] then
  return 'missing'
end
if ARGV[2] == 'cancel' then
  if finishedAt then
    return 'final'
  end
  if cancelAt then
    return 'ok'
  end
  redis.call('HSET', KEYS[1], 'cancelAt', ARGV[5])
  if ingest == 'running' then
    endIngest(ARGV[3], tenant, 'canceled')
  end
elseif ingest == 'running' or work == 'cancel' then
  return 'busy'
elseif work == 'retry' then
  return 'ok'
end
redis.call('HSET', KEYS[1], 'work', ARGV[2], 'workIndex', 0)
-- Whoever was at work on it is shut out.
redis.call('HDEL', KEYS[1], 'worker')
redis.call('ZADD', KEYS[2], ARGV[5], ARGV[3])
completeBatch(ARGV[3], tonumber(ARGV[5]), ARGV[6])
return 'ok'
