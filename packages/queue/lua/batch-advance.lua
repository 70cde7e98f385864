-- Notes that a chunk of a batch's source has been dealt with: its jobs have been made, and what was rejected is counted
-- here, once.
-- KEYS  1 record  2 batches with work
-- ARGV  2 token  3 batch id  4 end of the lease (ms)  5 next index  6 cursor  7 rejected
--       8 most rejections that are kept  9 … rejections
-- Returns 'ok' or 'fenced'.
if redis.call('HGET', KEYS[1], 'worker') ~= ARGV[2] then
  return 'fenced'
end
redis.call('HSET', KEYS[1], 'index', ARGV[5], 'cursor', ARGV[6])
redis.call('HDEL', KEYS[1], 'waitingFor', 'waits', 'troubleSince')
redis.call('HINCRBY', KEYS[1], 'rejected', ARGV[7])
local room = ARGV[8] - redis.call('LLEN', key('batch-rejected', ARGV[3]))
for index = 9, math.min(#ARGV, 8 + room) do
  redis.call('RPUSH', key('batch-rejected', ARGV[3]), ARGV[index])
end
redis.call('ZADD', KEYS[2], ARGV[4], ARGV[3])
return 'ok'
