-- Forgets a job that has ended, and all that was kept of it here.
-- KEYS  1 record  2 result  3 expiry index
-- ARGV  2 tenant  3 job id
-- Returns {'missing'}, {'open', status} or {'deleted', task, resultBucket, resultKey}.
local record = redis.call('HMGET', KEYS[1], 'status', 'tenant', 'task', 'resultBucket', 'resultKey', 'cacheEntry')
if not record[1] or record[2] ~= ARGV[2] then
  return { 'missing' }
end
if isOpen(record[1]) then
  return { 'open', record[1] }
end
countInBatch(KEYS[1], record[1], 'deleted')
redis.call('DEL', KEYS[1], KEYS[2], key('pages', ARGV[3]))
if record[6] then
  -- A job that read the document again since may have taken the entry over.
  local entry = key('cache', ARGV[2], record[6])
  if redis.call('HGET', entry, 'job') == ARGV[3] then
    redis.call('DEL', entry)
  end
end
local member = ARGV[2] .. '\n' .. ARGV[3]
redis.call('ZREM', key('tenant-jobs', ARGV[2]), ARGV[3])
redis.call('ZREM', key('dead-letters'), member)
redis.call('ZREM', KEYS[3], member)
redis.call('PUBLISH', key('changed', ARGV[3]), 'deleted')
return { 'deleted', record[3], record[4] or '', record[5] or '' }
