-- Gives batches that have work due to a process, for as long as it renews the lease.
-- KEYS  1 batches with work, by the time after which anybody may take them
-- ARGV  2 now (ms)  3 lease (ms)  4 token of the process  5 most batches
-- Returns their ids.
local taken = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[2], 'LIMIT', 0, ARGV[5])) do
  if redis.call('HEXISTS', key('batch', id), 'work') == 1 then
    redis.call('HSET', key('batch', id), 'worker', ARGV[4])
    redis.call('ZADD', KEYS[1], ARGV[2] + ARGV[3], id)
    taken[#taken + 1] = id
  else
    redis.call('ZREM', KEYS[1], id)
  end
end
return taken
