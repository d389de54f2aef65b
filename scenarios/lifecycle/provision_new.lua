--- A new CTA, V1 to V14 (FIGS. 6 and 7): registers with its head-end, gets a restricted ticket by its device certificate, calls customer
--- service, says who its customer is, and is provisioned: account, number, subscriber, packet filter, operator certificate; it reboots
--- and is a telephone like any other.
scenario { title = "Provisioning a new CTA", tags = { "lifecycle", "fig7" }, args = { wan = "10ms" }, limit = "1h" }

local net = topology "two_branches" { wan = { delay = args.wan }, operations = true }
local new = net:cta "new" { dhcp = true, branch = 1 }
local bob = net:cta "bob" { provisioned = "610-555-0102", branch = 2, auto_answer = "500ms" }
local invariants = shared "invariants" (net, { ctas = { new }, others = { 0, 1 } })

never { "voice in clear", message = { proto = "rtp", cover = "clear" } }
never { "orders between servers in clear", message = { proto = "radius", cover = "clear", fate = "accepted" } }
never { "I4: each record is one call's, on its caller's account", record = "wrong" }
never { "I4: no answered call goes free", record = "missing" }

run(function()
  bob:boot()
  new:boot()
  bob:expect { telephony = "ProvisionedAccess", within = "10s" }
  new:expect { "V1, V2, V3: registered, with a restricted ticket", hfc = "UnprovisionedAccess", telephony = "UnprovisionedAccess", within = "60s" }

  -- nobody but customer service
  local call = new:dial(bob.number)
  call:expect { state = "failed", status = 403, within = "10s" }
  expect_refusals { by = "sc.enforce_restriction", count = 1 }

  -- V4 to V13
  call = new:dial "411"
  call:expect { "V4, V5: customer service answers", state = "talking", within = "10s" }
  call:type "want=new;name=Alice Liddell;address=1 Oxford Road;pay=invoice;options=caller-id"
  call:expect { "V13: the number and the terms are told", heard = contains "number=2155550200", within = "60s" }
  new:expect { "V12: the certificate is taken", telephony = "ReceivedOperatorCertificate", certificates = 1, hfc = "FullyRegistered" }
  call:hangup()
  call:expect { keys_destroyed = true, within = "2s" }

  -- which costs nobody anything; what was refused is not on record
  net.bh:expect { records = 1, restricted_calls = 1, customer_calls = 0, nobodys_calls = 0, within = "5s" }

  -- V14
  new:expect { "V14: rebooted", telephony = "ProvisionedAccess", hfc = "ProvisionedAccess", within = "90s" }
  net.pca:expect { customers = 1 }
  net.bh:expect { accounts = 1 }
  net.sc1:expect { subscribers = 1 }

  call = new:dial(bob.number)
  call:expect { state = "talking", within = "10s" }
  wait "2s"
  call:expect { rtp_received = at_least(90), from = bob }
  call:hangup()
  call:expect { keys_destroyed = true, within = "2s" }
  net.bh:expect { "on its customer's account now", customer_calls = 1, total_seconds = between(2, 3), restricted_calls = 1, within = "5s" }

  -- and can be called
  new:answer { after = "500ms" }
  call = bob:dial "215-555-0200"
  call:expect { state = "talking", from = new, within = "10s" }
  call:hangup()
  net.bh:expect { "the caller pays", records = 3, customer_calls = 1, nobodys_calls = 1, within = "5s" }
  wait "3s"
  invariants.agree "in the end"
end)
