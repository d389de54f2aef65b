--- De-provisioning (FIG. 8): a customer gives up her line in a secured call to customer service; of another the operator decides so.
--- Provisioning CA, billing host, controller and head-end forget number and MAC; the next call, ticket and certificate are refused; the
--- CTA asks its head-end whether that is so, gives its certificate up and is an unprovisioned CTA again.
scenario { title = "De-provisioning a CTA", tags = { "lifecycle", "fig8" }, args = { wan = "10ms" }, limit = "3h" }

local net = topology "two_branches" { wan = { delay = args.wan }, operations = true }
local alice = net:cta "alice" { dhcp = true, branch = 1 }
local carol = net:cta "carol" { dhcp = true, branch = 1 }
local bob = net:cta "bob" { provisioned = "610-555-0102", branch = 2, auto_answer = "500ms" }
local invariants = shared "invariants" (net, { ctas = { alice, carol }, others = { 0, 1 } })

never { "voice in clear", message = { proto = "rtp", cover = "clear" } }
never { "orders between servers in clear", message = { proto = "radius", cover = "clear", fate = "accepted" } }
never { "I4: each record is one call's, on its caller's account", record = "wrong" }
never { "I4: no answered call goes free", record = "missing" }

local function everybody_has(count)
  net.pca:expect { customers = count, under_way = 0, within = "30s" }
  net.bh:expect { accounts = count }
  net.sc1:expect { subscribers = count }
  net.cmts1:expect { accounts = count }
end

local function ask(cta, want, answer)
  local call = cta:dial "411"
  call:expect { state = "talking", within = "10s" }
  call:type(want)
  call:expect { "customer service says what came of it", heard = contains(answer), within = "60s" }
  call:hangup()
  call:expect { keys_destroyed = true, within = "2s" }
end

local function provision(cta, number, name)
  cta:boot()
  cta:expect { telephony = "UnprovisionedAccess", within = "60s" }
  ask(cta, "want=new;name=" .. name .. ";address=1 Oxford Road;pay=invoice", "number=" .. number)
  cta:expect { telephony = "ProvisionedAccess", hfc = "ProvisionedAccess", within = "90s" }
end

-- what it still has opens nothing: neither the ticket, nor the certificate for another one; and then it knows
local function is_out(cta, number)
  local tickets, refused = cta.tickets, { sc = refusals { by = "sc.check_subscriber" }, kdc = refusals { by = "kdc.check_subscriber" } }
  local call = cta:dial(bob.number)
  call:expect { state = "failed", within = "30s" }
  expect_refusals { "the ticket is refused", by = "sc.check_subscriber", at = net.sc1, count = at_least(refused.sc + 1) }
  expect_refusals { "the certificate is refused", by = "kdc.check_subscriber", count = at_least(refused.kdc + 1) }
  claim("its number is nobody's", net.pca:customer(number) == nil)
  call = bob:dial(number)
  call:expect { "nobody reaches it", state = "failed", within = "30s" }
  cta:expect { "the head-end has confirmed it: certificate removed", telephony = "UnprovisionedAccess", hfc = "UnprovisionedAccess",
    certificates_removed = 1, within = "90s" }
  claim("one ticket more, by the manufacturer certificate", cta.tickets == tickets + 1, cta.tickets)
  refused = refusals { by = "sc.enforce_restriction" }
  call = cta:dial(bob.number)
  call:expect { state = "failed", status = 403, within = "10s" }
  expect_refusals { by = "sc.enforce_restriction", count = refused + 1 }
end

run(function()
  bob:boot()
  provision(alice, "2155550200", "Alice Liddell")
  provision(carol, "2155550201", "Carol Jones")
  everybody_has(2)
  local call = alice:dial(bob.number)
  call:expect { state = "talking", within = "10s" }
  wait "2s"
  call:hangup()
  call:expect { keys_destroyed = true, within = "2s" }
  local id = net.bh:customer "215-555-0200"

  ask(alice, "want=terminate;number=2155550200", "done=terminate")
  everybody_has(1)
  is_out(alice, "215-555-0200")
  everybody_has(1)

  net.pca:terminate "215-555-0201"
  everybody_has(0)
  is_out(carol, "215-555-0201")
  everybody_has(0)

  -- what was called is still to be paid; what was refused, and what bob tried, is not the customers'
  net.sc1:expect { records_waiting = 0, within = "10s" }
  claim("her two calls stay on her account", net.bh:calls(id) == 2 and net.bh:records_of(id) == 2 and net.bh:kind(id) == "customer", net.bh:calls(id))
  net.bh:expect { customer_calls = 2, restricted_calls = 2, refused = 0 }
  invariants.agree "in the end"
end)
