-- Makes a record permanent once the queue has taken its job. A job may have ended by then: its record has
-- an expiry of another kind, which stays.
-- KEYS  1 record
-- Returns 'ok'.
if redis.call('HGET', KEYS[1], 'status') == 'queued' then
  redis.call('PERSIST', KEYS[1])
end
return 'ok'
