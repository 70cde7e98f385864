-- Opens a job that ended without its whole result for another try, with no deadline any more. It gets a new name in
-- BullMQ, where the old one may still be on its way out; whoever feeds the queue adds it.
-- KEYS  1 record  2 result  3 lease set  4 expiry index
-- ARGV  2 tenant, or '' for any  3 job id
-- Returns {'missing'}, {'refused', status} or {'queued', resultBucket, resultKey}: the old result is void.
local record = redis.call('HMGET', KEYS[1], 'status', 'tenant', 'resultBucket', 'resultKey')
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
redis.call('ZREM', KEYS[4], member)
redis.call('ZREM', key('dead-letters'), member)
redis.call('HINCRBY', key('usage', tenant), 'jobs', 1)
redis.call('ZADD', KEYS[3], clockMs(), ARGV[3] .. '.' .. round)
announce(KEYS[1], ARGV[3], 'queued')
return { 'queued', record[3] or '', record[4] or '' }
