--- A customer has moved to the other segment, where he has a new line. He has not told that he moved: his old CTA, whose account and
--- certificate are the old segment's, came along, gets its address from the new head-end, and its software, which he has changed, goes on
--- asking for the old controller (attack P6). The KDC gives a ticket for a controller only to who asks from its segment; one that does not
--- look leaves both segments live for him, and the old number calls from where it does not belong.
scenario { title = "Old segment's certificate after a move", tags = { "attack", "lifecycle" }, attack = "P6", limit = "1h" }

local net = topology "two_branches" {}
local at_home = net:cta "at_home" { provisioned = "215-555-0104", branch = 1 } -- a neighbour who stays
local old = net:cta "old" { provisioned = "215-555-0103", branch = 2, controller = net.sc1, auto_answer = "500ms" }
local new = net:cta "new" { provisioned = "610-555-0103", branch = 2, auto_answer = "500ms" }

run(function()
  at_home:boot()
  new:boot()
  both(at_home, new):expect { "each asks for its own segment's controller", telephony = "ProvisionedAccess", within = "30s" }
  claim("the old CTA is in the new segment", old.segment == net.hfc2)
  old:boot()
  outcome {
    stopped = function()
      old:expect { pkinit_refusal = "KDC_ERR_POLICY", tickets = 0, within = "30s" }
      expect_refusals { by = "kdc.check_segment", count = at_least(1) }
      wait "10min"
      old:expect { "however often it asks", tickets = 0, associations = 0 }
      net.sc1:expect { "only the neighbour has called on it", subscribers = 2 }
      at_home:dial(old.number):expect { "the old number is not reached", state = "failed", within = "2min" }
    end,
    succeeded = function()
      old:expect { "a ticket for the old segment, asked for from the new", telephony = "ProvisionedAccess", tickets = 1, within = "30s" }
      local call = old:dial(new.number)
      call:expect { "both his lines are live", state = "talking", from = new, within = "10s" }
      call:hangup()
      old:expect { line = "Idle", within = "10s" }
      call = at_home:dial(old.number)
      call:expect { "his old number is reached in the new segment", state = "talking", from = old, within = "20s" }
      call:hangup()
    end,
  }
end)
