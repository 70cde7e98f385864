-- Goes before every script of ours. KEYS[1] is a key of the installation, for Redis Cluster to find the node; all
-- others are made from the prefix, whose hash tag puts them beside it.
-- ARGV  1 prefix
local function key(...)
  return ARGV[1] .. ':' .. table.concat({ ... }, ':')
end

local function isOpen(status)
  return status == 'queued' or status == 'running' or status == 'canceling'
end

-- Leases and lifetimes are counted by this one clock: those of the processes may differ by hours.
local function clockMs()
  local now = redis.call('TIME')
  return now[1] * 1000 + math.floor(now[2] / 1000)
end

-- Jobs that BullMQ holds and no worker has, by its own names and types, and those on the way there.
local function queueLength()
  return redis.call('LLEN', key('documents', 'wait')) + redis.call('LLEN', key('documents', 'paused'))
    + redis.call('ZCARD', key('documents', 'prioritized')) + redis.call('ZCARD', key('documents', 'delayed'))
    + redis.call('ZCARD', key('feeding'))
end

-- Changes what a tenant's open jobs add up to; without jobs nothing is counted, whatever went wrong before.
local function addUsage(tenant, jobs, pages, megapixels)
  local usage = key('usage', tenant)
  if redis.call('HINCRBY', usage, 'jobs', string.format('%d', jobs)) <= 0 then
    redis.call('DEL', usage)
    return
  end
  if pages ~= 0 then
    redis.call('HINCRBY', usage, 'pages', string.format('%d', pages))
  end
  if megapixels ~= 0 then
    redis.call('HINCRBYFLOAT', usage, 'megapixels', megapixels)
  end
end

-- Changes what all open jobs come to: how many there are, of how many the pages are known, how many of those are left.
local function addLoad(jobs, known, pages)
  local load = key('load')
  if redis.call('HINCRBY', load, 'jobs', string.format('%d', jobs)) <= 0 then
    redis.call('DEL', load)
    return
  end
  redis.call('HINCRBY', load, 'known', string.format('%d', known))
  redis.call('HINCRBY', load, 'pages', string.format('%d', pages))
end

-- All pages that an earlier attempt at the job found are to be read again.
local function restorePages(record)
  local pages = redis.call('HMGET', record, 'heldPages', 'pagesLeft')
  if pages[1] and pages[2] then
    addLoad(0, 0, pages[1] - pages[2])
    redis.call('HSET', record, 'pagesLeft', pages[1])
  end
end

-- Jobs that wait their tenant's turn.
local function backlogSize()
  return tonumber(redis.call('GET', key('backlog-size')) or '0')
end

-- Lets an open job wait, under the name of its round, to be put into BullMQ's queue: at once if it may, under a lease
-- of so many milliseconds after which anybody does so, else for its tenant's turn in the backlog.
local function enqueue(name, tenant, priority, atOnce, lease)
  if priority == 'high' or atOnce then
    redis.call('ZADD', key('feeding'), clockMs() + lease, name)
    return 'direct'
  end
  local waitingHere = redis.call('EXISTS', key('backlog', tenant, 'normal'), key('backlog', tenant, 'low'))
  redis.call('RPUSH', key('backlog', tenant, priority), name)
  redis.call('INCR', key('backlog-size'))
  if waitingHere == 0 then
    redis.call('RPUSH', key('backlog-tenants'), tenant)
  end
  return 'backlog'
end

-- Tells whoever watches the job. The revision orders what they are told.
local function announce(record, id, status)
  redis.call('HINCRBY', record, 'revision', 1)
  redis.call('PUBLISH', key('changed', id), status)
end
