-- Accepts a job, provided there is room: from here on it is durable. Either its producer adds it to BullMQ at once,
-- under a lease after which anybody may, or it waits its tenant's turn in the backlog.
-- KEYS  1 record  2 idempotency key, or the record again when there is none
-- ARGV  2 job id  3 tenant  4 task  5 now (ms)  6 priority  7 deadline (ms), or ''
--       8 most jobs that may wait  9 most jobs of a tenant  10 most pages  11 most megapixels
--       12 length up to which BullMQ's queue is filled  13 lease (ms)  14 lifetime of the idempotency key (ms)
--       15 its batch, or ''  16 its place in there
-- Returns {'direct' | 'backlog' | 'exists', the tenant's jobs, pages, megapixels}, {'full', waiting},
-- {'quota', what, the tenant's jobs, pages, megapixels}, {'lost'}: the idempotency key is another request's now, or
-- {'closed'}: its batch takes no more.
local id, tenant, now, priority = ARGV[2], ARGV[3], tonumber(ARGV[5]), ARGV[6]
local usage = redis.call('HMGET', key('usage', tenant), 'jobs', 'pages', 'megapixels')
local pages, megapixels = usage[2] or '0', usage[3] or '0'
if redis.call('EXISTS', KEYS[1]) == 1 then
  return { 'exists', usage[1] or '0', pages, megapixels }
end
local batch, index = ARGV[15], tonumber(ARGV[16])
if batch ~= '' then
  if redis.call('HGET', key('batch', batch), 'ingest') ~= 'running' then
    return { 'closed' }
  end
  -- It may have ended and been forgotten since it was made.
  if redis.call('GETBIT', key('batch-made', batch), index) == 1 then
    return { 'exists', usage[1] or '0', pages, megapixels }
  end
end
if KEYS[2] ~= KEYS[1] and redis.call('HGET', KEYS[2], 'job') ~= id then
  return { 'lost' }
end
local queued = queueLength()
local backlog = backlogSize()
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
if batch ~= '' then
  local hash = key('batch', batch)
  redis.call('HSET', KEYS[1], 'batchId', batch, 'index', index)
  redis.call('SETBIT', key('batch-made', batch), index, 1)
  redis.call('HINCRBY', hash, 'queued', 1)
  if index >= tonumber(redis.call('HGET', hash, 'jobs')) then
    redis.call('HSET', hash, 'jobs', index + 1)
  end
end
local jobs = redis.call('HINCRBY', key('usage', tenant), 'jobs', 1)
addLoad(1, 0, 0)
redis.call('ZADD', key('waiting'), now, id)
local atOnce = backlog == 0 and queued < tonumber(ARGV[12])
return { enqueue(id, tenant, priority, atOnce, ARGV[13]), jobs, pages, megapixels }
