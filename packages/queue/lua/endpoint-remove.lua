-- Deletes a webhook endpoint, its secrets and its log.
-- KEYS  1 endpoint  2 the tenant's endpoints  3 its log
-- ARGV  2 tenant  3 endpoint id
-- Returns 'ok', or 'missing' when it is not that tenant's.
if redis.call('HGET', KEYS[1], 'tenant') ~= ARGV[2] then
  return 'missing'
end
for _, id in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do
  redis.call('DEL', key('delivery', id), key('delivery', id, 'attempts'))
end
redis.call('DEL', KEYS[1], KEYS[3])
redis.call('ZREM', KEYS[2], ARGV[3])
return 'ok'
