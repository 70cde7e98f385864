-- Records how far an attempt has come, unless it is no longer the job's attempt.
-- KEYS  1 record
-- ARGV  1 token  2 pages in all  3 pages done
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then
  return 'fenced'
end
redis.call('HSET', KEYS[1], 'pagesTotal', ARGV[2], 'pagesDone', ARGV[3])
return 'ok'
