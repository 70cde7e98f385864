-- Writes a webhook endpoint, provided its tenant may have one more.
-- KEYS  1 endpoint  2 the tenant's endpoints
-- ARGV  2 endpoint id  3 now (ms)  4 most endpoints of a tenant  5.. fields and their values
-- Returns 'created' or 'full'.
if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[4]) then
  return 'full'
end
redis.call('HSET', KEYS[1], unpack(ARGV, 5))
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[2])
return 'created'
