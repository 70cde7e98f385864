-- Opens a job that ended without its whole result for another try, with no deadline any more. It gets a new name in
-- BullMQ, where the old one may still be on its way out; whoever feeds the queue adds it.
-- KEYS  1 record  2 result  3 expiry index
-- ARGV  2 tenant, or '' for any  3 job id  4 length up to which BullMQ's queue is filled
--       5 id of the event of its batch's next end
-- Returns {'missing'}, {'refused', status} or {'queued', resultBucket, resultKey}: the old result is void.
local record = redis.call('HMGET', KEYS[1], 'status', 'tenant', 'resultBucket', 'resultKey', 'priority')
local status, tenant = record[1], record[2]
if not status or (ARGV[2] ~= '' and tenant ~= ARGV[2]) then
  return { 'missing' }
end
if status ~= 'failed' and status ~= 'partial' and status ~= 'expired' then
  return { 'refused', status }
end
redis.call('HSET', KEYS[1], 'status', 'queued', 'crashes', 0)
local round = redis.call('HINCRBY', KEYS[1], 'round', 1)
redis.call('HDEL', KEYS[1], 'finishedAt', 'expiresAt', 'failure', 'warnings', 'usage', 'timings', 'resultBucket',
  'resultKey', 'startedAt', 'begunBy', 'deadline', 'pagesTotal', 'pagesDone', 'pagesFailed')
redis.call('PERSIST', KEYS[1])
redis.call('DEL', KEYS[2], key('pages', ARGV[3]))
local member = tenant .. '\n' .. ARGV[3]
redis.call('ZREM', KEYS[3], member)
redis.call('ZREM', key('dead-letters'), member)
redis.call('HINCRBY', key('usage', tenant), 'jobs', 1)
addLoad(1, 0, 0)
redis.call('ZADD', key('waiting'), clockMs(), ARGV[3])
local atOnce = backlogSize() == 0 and queueLength() < tonumber(ARGV[4])
enqueue(ARGV[3] .. '.' .. round, tenant, record[5], atOnce, 0)
countInBatch(KEYS[1], status, 'queued')
reopenBatch(KEYS[1], ARGV[5])
announce(KEYS[1], ARGV[3], 'queued')
return { 'queued', record[3] or '', record[4] or '' }
