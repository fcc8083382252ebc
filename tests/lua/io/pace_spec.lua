local pace = require "ligase.io.pace"

describe("a pace", function()
  local now

  local function new(per_minute)
    now = 1000
    return pace.new(per_minute, {
      clock = function() return now end,
      sleep = function(seconds) now = now + seconds end,
    })
  end

  it("lets so many go in any minute", function()
    local limiter, times = new(5), {}
    for i = 1, 23 do
      assert.is_true(limiter:acquire())
      times[i] = now
      now = now + (i % 3) * 0.5
    end
    for i = 6, #times do
      assert.is_true(times[i] - times[i - 5] >= 60)
    end
    assert.is_true(times[5] - times[1] < 10)
  end)

  it("lets nothing go before it is told to, and does not wait for longer than is asked", function()
    local limiter = new(100)
    limiter:answered { retry_after_s = 90 }
    limiter:answered { retry_after_s = 3 }
    limiter:answered {}
    assert.is_false(limiter:acquire(60))
    assert.equal(1000, now)
    assert.is_true(limiter:acquire(100))
    assert.is_true(now >= 1090)
  end)
end)
