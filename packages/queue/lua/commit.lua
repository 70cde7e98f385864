-- Ends a job: its result, its final state and its webhook event become visible in one step, once.
-- Refused when the job is final already or when another attempt has begun since (the fence).
-- KEYS  1 record  2 result  3 outbox  4 expiry index
-- ARGV  1 token  2 status  3 now (ms)  4 lifetime (ms)  5 failure  6 warnings  7 usage  8 timings
--       9 result as JSON, or ''  10 bucket of a large result, or ''  11 its key  12 delivery, or ''
--       13 channel  14 job id  15 prefix of the tenants' lists  16 pages, or ''
-- Returns 'ok', 'missing', 'final' or 'fenced'.
local record = redis.call('HMGET', KEYS[1], 'status', 'token', 'tenant')
if not record[1] then
  return 'missing'
end
if record[1] ~= 'running' and record[1] ~= 'queued' then
  return 'final'
end
if record[2] ~= ARGV[1] then
  return 'fenced'
end
local expiresAt = tonumber(ARGV[3]) + tonumber(ARGV[4])
redis.call('HSET', KEYS[1], 'status', ARGV[2], 'finishedAt', ARGV[3], 'expiresAt', string.format('%d', expiresAt),
  'failure', ARGV[5], 'warnings', ARGV[6], 'usage', ARGV[7], 'timings', ARGV[8],
  'resultBucket', ARGV[10], 'resultKey', ARGV[11])
redis.call('HDEL', KEYS[1], 'token')
if ARGV[16] ~= '' then
  redis.call('HSET', KEYS[1], 'pagesTotal', ARGV[16], 'pagesDone', ARGV[16])
end
redis.call('PEXPIREAT', KEYS[1], string.format('%d', expiresAt))
if ARGV[9] ~= '' then
  redis.call('SET', KEYS[2], ARGV[9], 'PXAT', string.format('%d', expiresAt))
end
if ARGV[12] ~= '' then
  redis.call('XADD', KEYS[3], '*', 'delivery', ARGV[12])
end
-- The tenants' lists name jobs whose records expire by themselves; each commit sweeps a few such names.
redis.call('ZADD', KEYS[4], expiresAt, record[3] .. '\n' .. ARGV[14])
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', ARGV[3], 'LIMIT', 0, 8)) do
  local tenant, id = string.match(member, '^(.*)\n(.*)$')
  redis.call('ZREM', ARGV[15] .. tenant, id)
  redis.call('ZREM', KEYS[4], member)
end
redis.call('PUBLISH', ARGV[13], ARGV[2])
return 'ok'
