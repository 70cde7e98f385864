-- Makes a record permanent once the queue has taken its job. A job may have ended by then: its record has
-- an expiry of another kind, which stays, and so does its entry in the index.
-- KEYS  1 record  2 expiry index
-- ARGV  1 member of the index
-- Returns 'ok', or 'missing' when the record has expired meanwhile.
local status = redis.call('HGET', KEYS[1], 'status')
if not status then
  return 'missing'
end
if status == 'queued' or status == 'running' then
  redis.call('PERSIST', KEYS[1])
  redis.call('ZREM', KEYS[2], ARGV[1])
end
return 'ok'
