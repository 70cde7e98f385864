-- Notes how far the work on a batch has come, and renews the lease or gives it up.
-- KEYS  1 record  2 batches with work
-- ARGV  2 token  3 batch id  4 next due (ms): the end of the lease, or when anybody may go on  5 give it up (1 or 0)
--       6 … fields and values
-- Returns 'ok' or 'fenced': the work is another process's, or there is none any more.
if redis.call('HGET', KEYS[1], 'worker') ~= ARGV[2] then
  return 'fenced'
end
if #ARGV > 5 then
  redis.call('HSET', KEYS[1], unpack(ARGV, 6))
end
if ARGV[5] == '1' then
  redis.call('HDEL', KEYS[1], 'worker')
end
redis.call('ZADD', KEYS[2], ARGV[4], ARGV[3])
return 'ok'
