-- Notes that an attempt has begun to read its document: from here on its worker's death is held against the job.
-- KEYS  1 record
-- ARGV  2 token  3 worker
-- Returns 'ok', 'fenced' or 'canceling': nobody wants the result any more.
local record = redis.call('HMGET', KEYS[1], 'token', 'status')
if record[1] ~= ARGV[2] then
  return 'fenced'
end
redis.call('HSET', KEYS[1], 'begunBy', ARGV[3])
return record[2] == 'canceling' and 'canceling' or 'ok'
