--- A change of service (FIG. 9): the customer asks for options in a secured call; billing host, controller and head-end are told, and the
--- CTA gets a new certificate that starts later than the one it has. The head-end then offers new software and has the CTA start anew; it
--- comes back with the new image and the new certificate. Somebody else's change is refused, and so is the old certificate.
scenario { title = "Change of service", tags = { "lifecycle", "fig9" }, args = { wan = "10ms" }, limit = "6h" }

local net = topology "two_branches" { wan = { delay = args.wan }, operations = true }
local alice = net:cta "alice" { dhcp = true, branch = 1 }
local carol = net:cta "carol" { dhcp = true, branch = 1 }
local bob = net:cta "bob" { provisioned = "610-555-0102", branch = 2, auto_answer = "500ms" }
local mallory = net:attacker "mallory" { on = net.hfc1 }
local number = "215-555-0200"
local invariants = shared "invariants" (net, { ctas = { alice, carol }, others = { 0, 1 } })

never { "voice in clear", message = { proto = "rtp", cover = "clear" } }
never { "orders between servers in clear", message = { proto = "radius", cover = "clear", fate = "accepted" } }
never { "I4: each record is one call's, on its caller's account", record = "wrong" }

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

run(function()
  bob:boot()
  alice:boot()
  carol:boot()
  both(alice, carol):expect { telephony = "UnprovisionedAccess", within = "60s" }
  local old = mallory:record_file { from = net.pca, to = alice }
  ask(alice, "want=new;name=Alice Liddell;address=1 Oxford Road;pay=invoice", "number=2155550200")
  alice:expect { telephony = "ProvisionedAccess", hfc = "ProvisionedAccess", software = "1.0", within = "90s" }
  everybody_has(1)
  local customer = net.pca:customer(number)

  -- not for anybody
  ask(carol, "want=change;number=2155550200;options=3way", "refused=csr.verify_caller")
  claim("nothing has changed", net.pca:options(number) == "", net.pca:options(number))

  -- options, and a new certificate; it reboots with it
  ask(alice, "want=change;number=2155550200;options=caller-id,3way", "done=change")
  alice:expect { "the new certificate is taken", certificates = 2, certificates_refused = 0, telephony = "ReceivedOperatorCertificate" }
  claim("the options are there", net.pca:options(number) == "caller-id,3way", net.pca:options(number))
  claim("the customer is the same", net.pca:customer(number) == customer)
  everybody_has(1)
  alice:expect { "rebooted with the new certificate", telephony = "ProvisionedAccess", hfc = "ProvisionedAccess", within = "90s" }

  -- the old one, brought again by somebody who has recorded it
  local starts = alice.certificate_starts
  mallory:bring_certificate({ file = old, to = alice }):expect { answer = "refused", by = "cta.check_start_time", within = "10s" }
  expect_refusals { by = "cta.check_start_time", at = alice, count = 1 }
  alice:expect { certificates_refused = 1, certificates = 2, certificate_starts = starts }

  -- new software, when the head-end says so
  net.cmts1:offer_software "2.0"
  wait "5min"
  alice:expect { "nobody has told it yet", software = "1.0" }
  net.cmts1:direct_reboot { node = alice }
  alice:expect { "the new image runs", software = "2.0", within = "1h" }
  alice:expect { telephony = "ProvisionedAccess", hfc = "ProvisionedAccess", certificates = 2, within = "90s" }
  everybody_has(1)

  local call = alice:dial(bob.number)
  call:expect { state = "talking", within = "10s" }
  call:hangup()
  call:expect { keys_destroyed = true, within = "2s" }
  invariants.agree "in the end"
end)
