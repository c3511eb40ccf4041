-- Lists actors. Keys: members, seen, prefix of the logs. Returns {actor, ms since it attended, length of its log, about, …}.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local list = {}
local members = redis.call('HGETALL', KEYS[1])
for i = 1, #members, 2 do
  local seen = tonumber(redis.call('HGET', KEYS[2], members[i]) or '0')
  list[#list + 1] = members[i]
  list[#list + 1] = math.max(now - seen, 0)
  list[#list + 1] = redis.call('XLEN', KEYS[3] .. members[i])
  list[#list + 1] = members[i + 1]
end
return list
