--- Key and certificate of a KDC that is out of service were stolen, and the operator has put the certificate on its CRL. The thief answers
--- a customer's AS-REQ in the KDC's place (attack K5; patent [0208]). The CTA looks whether the certificate is on the list; one that does
--- not takes the thief for a KDC.
scenario { title = "Revoked KDC", tags = { "attack" }, attack = "K5" }

local net = topology "two_branches" {}
local alice = net:cta "alice" { provisioned = "215-555-0101", branch = 1 }
local bob = net:cta "bob" { provisioned = "610-555-0102", branch = 2 }
local mallory = net:attacker "mallory" { on = net.hfc1 }
local kdc = net.kdc1

run(function()
  kdc:revoke "kdc0"
  local false_kdc = mallory:false_kdc { victim = alice, kdc = kdc, certificate = "stolen", stolen_from = "kdc0" }
  alice:boot()
  bob:boot()
  bob:expect { "the KDC in service is not meant", telephony = "ProvisionedAccess", within = "5s" }
  outcome {
    stopped = function()
      false_kdc:expect { fate = "refused", by = "cta.check_crl", within = "5s" }
      expect_refusals { by = "cta.check_crl", at = alice, count = at_least(1) }
      alice:expect { tickets = 0, telephony = "NotConfigured", pkinit_refusal = "cta.check_crl" }
      mallory:release()
      alice:expect { "the real one's", tickets = 1, telephony = "ProvisionedAccess", within = "2min" }
    end,
    succeeded = function()
      false_kdc:expect { "a reply under a serial number on the CRL is accepted", fate = "accepted", within = "5s" }
      alice:expect { tickets = 1, telephony = "ProvisionedAccess" }
      expect_messages { "the KDC has not heard of her", kind = "AS-REQ", from = alice, to = kdc, fate = "accepted", count = 0 }
    end,
  }
end)
