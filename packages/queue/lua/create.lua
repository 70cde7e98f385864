-- Accepts a job, provided there is room: from here on it is durable. Either its producer adds it to BullMQ at once,
-- under a lease after which anybody may, or it waits its tenant's turn in the backlog.
-- KEYS  1 record  2 idempotency key, or the record again when there is none
-- ARGV  2 job id  3 tenant  4 task  5 now (ms)  6 priority  7 deadline (ms), or ''
--       8 most jobs that may wait  9 most jobs of a tenant  10 most pages  11 most megapixels
--       12 length up to which BullMQ's queue is filled  13 lease (ms)  14 lifetime of the idempotency key (ms)
-- Returns {'direct' | 'backlog' | 'exists', the tenant's jobs, pages, megapixels}, {'full', waiting},
-- {'quota', what, the tenant's jobs, pages, megapixels} or {'lost'}: the idempotency key is another request's now.
local id, tenant, now, priority = ARGV[2], ARGV[3], tonumber(ARGV[5]), ARGV[6]
local usage = redis.call('HMGET', key('usage', tenant), 'jobs', 'pages', 'megapixels')
local pages, megapixels = usage[2] or '0', usage[3] or '0'
if redis.call('EXISTS', KEYS[1]) == 1 then
  return { 'exists', usage[1] or '0', pages, megapixels }
end
if KEYS[2] ~= KEYS[1] and redis.call('HGET', KEYS[2], 'job') ~= id then
  return { 'lost' }
end
local queued = queueLength()
local backlog = tonumber(redis.call('GET', key('backlog-size')) or '0')
if queued + backlog >= tonumber(ARGV[8]) then
  return { 'full', queued + backlog }
end
for index, what in ipairs({ 'jobs', 'pages', 'megapixels' }) do
  if tonumber(usage[index] or '0') >= tonumber(ARGV[8 + index]) then
    return { 'quota', what, usage[1] or '0', pages, megapixels }
  end
end

redis.call('HSET', KEYS[1], 'id', id, 'tenant', tenant, 'task', ARGV[4], 'status', 'queued', 'createdAt', ARGV[5],
  'attempt', 0, 'crashes', 0, 'priority', priority)
redis.call('ZADD', key('tenant-jobs', tenant), now, id)
if ARGV[7] ~= '' then
  redis.call('HSET', KEYS[1], 'deadline', ARGV[7])
  redis.call('ZADD', key('deadlines'), ARGV[7], id)
end
if KEYS[2] ~= KEYS[1] then
  redis.call('HSET', KEYS[2], 'done', 1)
  redis.call('PEXPIRE', KEYS[2], ARGV[14])
end
local jobs = redis.call('HINCRBY', key('usage', tenant), 'jobs', 1)
if priority == 'high' or (backlog == 0 and queued < tonumber(ARGV[12])) then
  redis.call('ZADD', key('feeding'), clockMs() + tonumber(ARGV[13]), id)
  return { 'direct', jobs, pages, megapixels }
end
local waitingHere = redis.call('LLEN', key('backlog', tenant, 'normal')) + redis.call('LLEN', key('backlog', tenant, 'low'))
redis.call('RPUSH', key('backlog', tenant, priority), id)
redis.call('INCR', key('backlog-size'))
if waitingHere == 0 then
  redis.call('RPUSH', key('backlog-tenants'), tenant)
end
return { 'backlog', jobs, pages, megapixels }
