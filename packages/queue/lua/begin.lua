-- Notes that an attempt has begun to read its document: from here on its worker's death is held against the job.
-- KEYS  1 record
-- ARGV  1 token  2 worker
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then
  return 'fenced'
end
redis.call('HSET', KEYS[1], 'begunBy', ARGV[2])
return 'ok'
