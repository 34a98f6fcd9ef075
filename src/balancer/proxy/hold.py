"""The action that holds requests of a paused app, in HAProxy's own Lua.

Used by `render`. HAProxy before 3.2 has no other way to let a request wait for a change.
"""

# 30 s at most: longer people do not wait. The rendered file is read and not the map behind it, because a worker from
# before a reload is told nothing any more; once in 50 ms, however many wait.
HOLD = """\
local LIMIT_MS, PAUSE_MS = 30000, 50
local read_at, text = -PAUSE_MS, ""

local function mode_of(host)
  local now = core.now()
  local at = now.sec * 1000 + now.usec / 1000
  if at - read_at >= PAUSE_MS or at < read_at then
    local file = io.open("maps/modes.map")
    if file then
      text = "\\n" .. file:read("a")
      file:close()
    end
    read_at = at
  end
  local _, stop = string.find(text, "\\n" .. host .. " ", 1, true)
  return stop and string.match(text, "^%a+", stop + 1)
end

core.register_action("hold", { "http-req" }, function(txn)
  local host, waited = txn:get_var("req.host"), 0
  while mode_of(host) == "paused" and waited < LIMIT_MS do
    core.msleep(PAUSE_MS)
    waited = waited + PAUSE_MS
  end
  local mode = mode_of(host)
  if mode then
    txn:set_var("req.mode", mode)
  else
    txn:unset_var("req.mode")
  end
end, 0)
"""
