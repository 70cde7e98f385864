-- Takes a batch: from here on it is durable, and any API process makes its jobs.
-- KEYS  1 record  2 idempotency key, or the record again when there is none
-- ARGV  2 batch id  3 tenant  4 plan  5 now (ms)  6 lifetime after its end (ms)  7 event, or ''  8 id of the event
--       9 most batches of a tenant being ingested  10 lifetime of the idempotency key (ms)
--       11 how many were rejected  12 … these, then the items
-- Returns {'created'}, {'quota', ingesting} or {'lost'}: the idempotency key is another request's now.
local id, tenant, now = ARGV[2], ARGV[3], ARGV[5]
if KEYS[2] ~= KEYS[1] and redis.call('HGET', KEYS[2], 'job') ~= id then
  return { 'lost' }
end
local ingesting = tonumber(redis.call('HGET', key('batches-ingesting'), tenant) or '0')
if ingesting >= tonumber(ARGV[9]) then
  return { 'quota', ingesting }
end
redis.call('HSET', KEYS[1], 'id', id, 'tenant', tenant, 'plan', ARGV[4], 'createdAt', now, 'ttl', ARGV[6],
  'event', ARGV[7], 'eventId', ARGV[8], 'rejected', ARGV[11], 'ingest', 'running', 'work', 'ingest', 'index', 0,
  'cursor', '', 'jobs', 0)
for index = 12, #ARGV do
  local list = index < 12 + ARGV[11] and 'batch-rejected' or 'batch-items'
  redis.call('RPUSH', key(list, id), ARGV[index])
end
if KEYS[2] ~= KEYS[1] then
  redis.call('HSET', KEYS[2], 'done', 1)
  redis.call('PEXPIRE', KEYS[2], ARGV[10])
end
redis.call('HINCRBY', key('batches-ingesting'), tenant, 1)
redis.call('ZADD', key('batch-work'), now, id)
-- The list names batches whose records expire by themselves; each new one sweeps a few such names.
local list = key('tenant-batches', tenant)
redis.call('ZADD', list, now, id)
for _, name in ipairs(redis.call('ZRANGE', list, 0, 7)) do
  if redis.call('EXISTS', key('batch', name)) == 0 then
    redis.call('ZREM', list, name)
  end
end
return { 'created' }
