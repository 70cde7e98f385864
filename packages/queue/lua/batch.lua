-- Goes after the prelude: what the states of jobs are to the batch that they belong to.

local openStates = { 'queued', 'running', 'canceling' }
local endStates = { 'succeeded', 'partial', 'failed', 'expired', 'canceled', 'deleted' }

-- Counts a job under its new state, in its batch if it has one.
local function countInBatch(record, from, to)
  local batch = redis.call('HGET', record, 'batchId')
  if not batch or from == to or redis.call('EXISTS', key('batch', batch)) == 0 then
    return
  end
  redis.call('HINCRBY', key('batch', batch), from, -1)
  redis.call('HINCRBY', key('batch', batch), to, 1)
end

-- Whether the job belongs to a batch that has been canceled.
local function isCanceledBatch(record)
  local batch = redis.call('HGET', record, 'batchId')
  return batch and redis.call('HEXISTS', key('batch', batch), 'cancelAt') == 1
end

-- Nothing more is made of the batch's source.
local function endIngest(batch, tenant, state)
  redis.call('HSET', key('batch', batch), 'ingest', state)
  redis.call('HDEL', key('batch', batch), 'cursor', 'waitingFor', 'waits', 'troubleSince')
  redis.call('DEL', key('batch-items', batch), key('batch-made', batch))
  if redis.call('HINCRBY', key('batches-ingesting'), tenant, -1) <= 0 then
    redis.call('HDEL', key('batches-ingesting'), tenant)
  end
end

-- Completes a batch if all its jobs have been made and have ended: its event is written in the same step as the last
-- of that, once. While jobs are being opened again one by one it waits for the rest of them.
local function completeBatch(batch, now, time)
  local hash = key('batch', batch)
  local ingest, finishedAt, work, event, tenant, ttl, rejected, cancelAt, eventId =
    unpack(redis.call('HMGET', hash, 'ingest', 'finishedAt', 'work', 'event', 'tenant', 'ttl', 'rejected', 'cancelAt',
      'eventId'))
  if not ingest or ingest == 'running' or finishedAt or work == 'retry' then
    return
  end
  for _, count in ipairs(redis.call('HMGET', hash, unpack(openStates))) do
    if tonumber(count or '0') > 0 then
      return
    end
  end
  local expiresAt = string.format('%d', now + tonumber(ttl))
  redis.call('HSET', hash, 'finishedAt', now, 'expiresAt', expiresAt)
  redis.call('HDEL', hash, 'work', 'workIndex', 'worker')
  redis.call('ZREM', key('batch-work'), batch)
  redis.call('PEXPIREAT', hash, expiresAt)
  redis.call('PEXPIREAT', key('batch-rejected', batch), expiresAt)
  redis.call('PUBLISH', key('changed', batch), 'completed')
  if event == '' then
    return
  end
  local entry = cjson.decode(event)
  -- Without an address of its own it is for the tenant's endpoints: where there are none nobody wants it.
  if entry.url == cjson.null and redis.call('EXISTS', key('tenant-endpoints', tenant)) == 0 then
    return
  end
  local data = entry.data
  entry.data = nil
  data.status = cancelAt and 'canceled' or 'completed'
  data.rejectedCount = tonumber(rejected)
  data.counts = {}
  local counts = redis.call('HMGET', hash, unpack(endStates))
  for index, state in ipairs(endStates) do
    data.counts[state] = tonumber(counts[index] or '0')
  end
  entry.id = eventId
  entry.body = cjson.encode({ type = entry.type, timestamp = time, data = data })
  redis.call('XADD', key('outbox'), '*', 'event', cjson.encode(entry))
end

-- One of the batch's jobs has ended.
local function endInBatch(record, now, time)
  local batch = redis.call('HGET', record, 'batchId')
  if not batch then
    return
  end
  local slot = key('batch-ended', batch, string.format('%d', math.floor(now / 10000)))
  if redis.call('INCR', slot) == 1 then
    redis.call('EXPIRE', slot, 120)
  end
  completeBatch(batch, now, time)
end

-- One of the batch's jobs, which has ended, is open again: the batch will complete anew, and say so with a new id.
local function reopenBatch(record, eventId)
  local batch = redis.call('HGET', record, 'batchId')
  if not batch or redis.call('HDEL', key('batch', batch), 'finishedAt') == 0 then
    return
  end
  redis.call('HDEL', key('batch', batch), 'expiresAt', 'cancelAt')
  redis.call('HSET', key('batch', batch), 'eventId', eventId)
  redis.call('PERSIST', key('batch', batch))
  redis.call('PERSIST', key('batch-rejected', batch))
end
