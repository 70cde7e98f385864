-- Notes that a worker is there, and how many pages a second it reads, for as long as it keeps saying so. The last rate
-- outlives all workers: by it they are called back.
-- KEYS  1 rates
-- ARGV  2 worker  3 pages per second, '' while nothing has been measured, or 'gone'  4 lifetime of the last rate (ms)
if ARGV[3] == 'gone' then
  redis.call('HDEL', KEYS[1], ARGV[2])
  return 'ok'
end
redis.call('HSET', KEYS[1], ARGV[2], string.format('%.0f', clockMs()) .. ' ' .. ARGV[3])
if ARGV[3] ~= '' then
  redis.call('SET', key('last-rate'), ARGV[3], 'PX', ARGV[4])
end
return 'ok'
