--- Somebody on the segment answers the customer's AS-REQ in the KDC's place, with a certificate by a CA that he has made up under the
--- operator's name (attack K3; patent [0103]). The CTA holds it to the operator's root that was put into it; one that does not stores a
--- ticket of the false KDC, and is cut off: no controller can open it.
scenario { title = "False KDC", tags = { "attack" }, attack = "K3" }

local net = topology "two_branches" {}
local alice = net:cta "alice" { provisioned = "215-555-0101", branch = 1 }
local mallory = net:attacker "mallory" { on = net.hfc1 }
local kdc = net.kdc1

run(function()
  local false_kdc = mallory:false_kdc { victim = alice, kdc = kdc }
  local issued = kdc.issued
  alice:boot()
  outcome {
    stopped = function()
      false_kdc:expect { fate = "refused", by = "cta.verify_root", within = "5s" }
      expect_refusals { by = "cta.verify_root", at = alice, count = at_least(1) }
      alice:expect { tickets = 0, telephony = "NotConfigured", pkinit_refusal = "cta.verify_root" }
      mallory:release()
      alice:expect { "the real one's", tickets = 1, telephony = "ProvisionedAccess", within = "2min" }
    end,
    succeeded = function()
      false_kdc:expect { fate = "accepted", within = "5s" }
      alice:expect { "she stores a ticket", tickets = 1, telephony = "ProvisionedAccess" }
      expect_messages { "the KDC has not heard of her", kind = "AS-REQ", from = alice, to = kdc, fate = "accepted", count = 0 }
      local call = alice:dial "411"
      call:expect { state = "failed", within = "60s" }
      expect_refusals { "which nobody can open", by = "ticket.integrity", at = net.sc1, from = alice, count = at_least(1) }
    end,
  }
end)
