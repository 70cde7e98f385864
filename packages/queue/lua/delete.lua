-- Forgets a job that has ended, and all that was kept of it here.
-- KEYS  1 record  2 result  3 expiry index
-- ARGV  2 tenant  3 job id
-- Returns {'missing'}, {'open', status} or {'deleted', task, resultBucket, resultKey}.
local record = redis.call('HMGET', KEYS[1], 'status', 'tenant', 'task', 'resultBucket', 'resultKey')
if not record[1] or record[2] ~= ARGV[2] then
  return { 'missing' }
end
if isOpen(record[1]) then
  return { 'open', record[1] }
end
redis.call('DEL', KEYS[1], KEYS[2], key('pages', ARGV[3]))
local member = ARGV[2] .. '\n' .. ARGV[3]
redis.call('ZREM', key('tenant-jobs', ARGV[2]), ARGV[3])
redis.call('ZREM', key('dead-letters'), member)
redis.call('ZREM', KEYS[3], member)
redis.call('PUBLISH', key('changed', ARGV[3]), 'deleted')
return { 'deleted', record[3], record[4] or '', record[5] or '' }
