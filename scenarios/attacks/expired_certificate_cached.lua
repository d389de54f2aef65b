--- A customer's certificate ends while the KDC has its thumbprint in the cache that saves it verifying chains (attack K10; patent
--- [0104]). The KDC holds a known certificate to its times, too, and no ticket outlives one; where it does not, it issues a ticket after
--- notAfter, for as long as the thumbprint is remembered.
scenario { title = "Expired certificate on the thumbprint cache", tags = { "attack" }, attack = "K10",
  turns_off = { "kdc.cache_recheck_time" }, limit = "8h" }

local net = topology "two_branches" { ticket_lifetime = "2h" }
local alice = net:cta "alice" { provisioned = "215-555-0101", branch = 1, certificate_lifetime = "3h" }
local bob = net:cta "bob" { provisioned = "610-555-0102", branch = 2, auto_answer = "500ms" }
local kdc = net.kdc1

run(function()
  alice:boot()
  bob:boot()
  both(alice, bob):expect { telephony = "ProvisionedAccess", within = "5s" }
  wait "150min" -- a second ticket has come, in good time
  kdc:expect { cached_certificates = 2, cache_hits = at_least(1) }

  wait "31min"
  claim("the certificate is over", now() > ns "3h")
  local tickets, hits = alice.tickets, kdc.cache_hits
  alice:restart()
  outcome {
    stopped = function()
      alice:expect { pkinit_refusal = "KDC_ERR_INVALID_CERTIFICATE", within = "30s" }
      alice:expect { tickets = tickets, telephony = "NotConfigured" }
      kdc:expect { "the thumbprint spares nothing any more", cache_hits = hits }
      expect_refusals { by = "kdc.cert_expired", at = kdc, from = alice, count = at_least(1) }
    end,
    succeeded = function()
      alice:expect { "a ticket after notAfter", telephony = "ProvisionedAccess", tickets = tickets + 1, within = "5s" }
      kdc:expect { cache_hits = hits + 1 }
      claim("and it is good for hours more", alice.ticket_ends > ns "5h", time(alice.ticket_ends))
      local call = alice:dial(bob.number)
      call:expect { state = "talking", from = bob, within = "10s" }
    end,
  }
end)
