-- Ends a job: its result, its final state and its webhook event become visible in one step, once.
-- Refused when the job is final already or when another attempt has begun since (the fence).
-- KEYS  1 record  2 result  3 outbox  4 expiry index
-- ARGV  2 token  3 status  4 when it ended (ms)  5 lifetime (ms)  6 failure  7 warnings  8 usage  9 timings
--       10 result as JSON, or ''  11 bucket of a large result, or ''  12 its key  13 event, or ''
--       14 job id  15 pages, or ''  16 pages failed  17 the event's own address, or ''
--       18 entry in the result cache, or ''  19 its version of the object  20 now as text
-- Returns 'ok', 'missing', 'final' or 'fenced'.
local record = redis.call('HMGET', KEYS[1], 'status', 'token', 'tenant', 'heldPages', 'heldMegapixels', 'pagesLeft')
if not record[1] then
  return 'missing'
end
if not isOpen(record[1]) then
  return 'final'
end
if record[2] ~= ARGV[2] then
  return 'fenced'
end
local status, now, id, tenant = ARGV[3], clockMs(), ARGV[14], record[3]
local expiresAt = string.format('%d', now + tonumber(ARGV[5]))
redis.call('HSET', KEYS[1], 'status', status, 'finishedAt', ARGV[4], 'expiresAt', expiresAt,
  'failure', ARGV[6], 'warnings', ARGV[7], 'usage', ARGV[8], 'timings', ARGV[9],
  'resultBucket', ARGV[11], 'resultKey', ARGV[12])
redis.call('HDEL', KEYS[1], 'token', 'heldPages', 'heldMegapixels', 'pagesLeft')
if ARGV[15] ~= '' then
  redis.call('HSET', KEYS[1], 'pagesTotal', ARGV[15], 'pagesDone', ARGV[15] - ARGV[16], 'pagesFailed', ARGV[16])
end
redis.call('PEXPIREAT', KEYS[1], expiresAt)
-- With a result the pages are read from that; else those that were read stay readable as long as the job is.
if status == 'succeeded' or status == 'partial' then
  redis.call('DEL', key('pages', id))
else
  redis.call('PEXPIREAT', key('pages', id), expiresAt)
end
if ARGV[10] ~= '' then
  redis.call('SET', KEYS[2], ARGV[10], 'PXAT', expiresAt)
end
if ARGV[18] ~= '' then
  -- It only points to the result, and never outlives it.
  local entry = key('cache', tenant, ARGV[18])
  redis.call('HSET', entry, 'job', id, 'version', ARGV[19])
  redis.call('PEXPIREAT', entry, expiresAt)
  redis.call('HSET', KEYS[1], 'cacheEntry', ARGV[18])
end
-- An event without an address of its own is for the tenant's endpoints: where there are none nobody wants it.
if ARGV[13] ~= '' and (ARGV[17] ~= '' or redis.call('EXISTS', key('tenant-endpoints', tenant)) == 1) then
  redis.call('XADD', KEYS[3], '*', 'event', ARGV[13])
end
addUsage(tenant, -1, -tonumber(record[4] or '0'), -tonumber(record[5] or '0'))
addLoad(-1, record[6] and -1 or 0, -tonumber(record[6] or '0'))
redis.call('ZREM', key('deadlines'), id)
redis.call('ZREM', key('waiting'), id)
local member = tenant .. '\n' .. id
if status == 'failed' then
  redis.call('ZADD', key('dead-letters'), now, member)
end
-- How fast jobs end, in all ('') and of each tenant, in slots of ten seconds: callers who are refused are told when
-- to come back.
local slot = key('ended', string.format('%d', math.floor(now / 10000)))
redis.call('HINCRBY', slot, '', 1)
if redis.call('HINCRBY', slot, tenant, 1) == 1 then
  redis.call('EXPIRE', slot, 120)
end
-- The lists name jobs whose records expire by themselves; each commit sweeps a few such names.
redis.call('ZADD', KEYS[4], expiresAt, member)
for _, expired in ipairs(redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', now, 'LIMIT', 0, 8)) do
  local owner, name = string.match(expired, '^(.*)\n(.*)$')
  redis.call('ZREM', key('tenant-jobs', owner), name)
  redis.call('ZREM', key('dead-letters'), expired)
  redis.call('ZREM', KEYS[4], expired)
end
countInBatch(KEYS[1], record[1], status)
announce(KEYS[1], id, status)
endInBatch(KEYS[1], now, ARGV[20])
return 'ok'
