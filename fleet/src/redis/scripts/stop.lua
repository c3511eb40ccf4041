-- Asks the learner and all actors of the epoch to end. Keys: epoch, stop.
local number = redis.call('HGET', KEYS[1], 'number')
if number then
  redis.call('SET', KEYS[2], number)
end
return 1
