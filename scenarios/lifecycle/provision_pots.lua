--- A new CTA, V1 to V14, with a customer service centre whose representatives sit at plain phones of the PSTN [0121], [0125]: the call goes
--- through the POTS gateways, the representative hears who the customer is, and the centre's terminal learns from the signaling gateway
--- which CTA that is [0145]. The KDC near the CTA is not the one near the gateways [0124]. So with a change later, which is for the line itself; nobody on the phone, nothing to enter.
scenario {
  title = "Provisioning by a phone of the PSTN", tags = { "lifecycle", "fig6", "fig7" }, args = { wan = "10ms", kdc = "two" }, limit = "1h",
}

local service = "212-555-0411" -- a phone at the centre
local net = topology "two_branches" {
  wan = { delay = args.wan }, kdc = args.kdc, operations = true, restricted = "411,2125550411", reach = "10.104.0.40, 10.104.0.41",
}
local kdc = net[args.kdc == "two" and "kdc2" or "kdc1"] -- the one near the gateways and the centre [0124]
-- Branch 3 of FIG. 1: the gateways, and the exchange behind them.
local trunk = net:link "trunk" { subnet = "10.203.0.0/24", delay = "1ms", rate = "100Mbit" }
local tg = net:trunk_gateway "tg" {
  on = { { net.lan4, "10.104.0.41/24" }, { trunk, "10.203.0.21/24" } }, gateway = "10.104.0.1", kdc = kdc, pstn = "10.203.0.10",
}
local sg = net:signaling_gateway "sg" {
  on = { { net.lan4, "10.104.0.40/24" }, { trunk, "10.203.0.20/24" } }, gateway = "10.104.0.1", kdc = kdc,
  pstn = "10.203.0.10", trunk_gateway = tg, prefixes = "212",
}
local exchange = net:pstn "exchange" {
  on = { trunk, "10.203.0.10/24" }, signaling_gateway = sg, trunk_gateway = tg, phones = "212-555-0001," .. service,
}
local desk = net:csr "desk" {
  on = { net.lan4, "10.104.0.33/24" }, gateway = "10.104.0.1", kdc = kdc, pca = net.pca, number = "412", signaling_gateway = sg,
}
local ear = net:attacker "ear" { on = net.lan4 }
local new = net:cta "new" { dhcp = true, branch = 1 }
local bob = net:cta "bob" { provisioned = "610-555-0102", branch = 2, auto_answer = "500ms" }
local invariants = shared "invariants" (net, { ctas = { new }, others = { 0, 1 }, reach = { sg, tg } })

never { "voice of a CTA in clear", message = { proto = "rtp", cover = "clear" } }
never { "orders between servers in clear", message = { proto = "radius", cover = "clear", fate = "accepted" } }
never { "I4: each record is one call's, on its caller's account", record = "wrong" }

run(function()
  bob:boot()
  new:boot()
  new:expect { "V1, V2, V3", hfc = "UnprovisionedAccess", telephony = "UnprovisionedAccess", within = "60s" }
  both(sg, exchange):expect { link_up = true, within = "5s" }
  wait "5s"

  -- no other phone of the PSTN, and nobody on this one
  new:dial("212-555-0001"):expect { "another phone", state = "failed", status = 403, within = "10s" }
  expect_refusals { by = "sc.enforce_restriction", count = 1 }
  desk:enter { want = "new", data = "name=Alice Liddell;address=1 Oxford Road;pay=invoice", phone = service }
  desk:expect { "nobody is on the phone", last_reason = "sg.no_call", within = "10s" }

  -- V4 to V13
  exchange:answer { number = service, after = "2s" }
  local call = new:dial(service)
  call:expect { "V4, V5: a representative answers", state = "talking", within = "10s" }
  exchange:call(service):expect { state = "talking" }
  wait "5s"
  exchange:call(service):expect { "V6: and hears the customer", voice_heard = at_least(100) }
  desk:enter { want = "new", data = "name=Alice Liddell;address=1 Oxford Road;pay=invoice", options = "caller-id", phone = service }
  desk.request:expect { "V7 to V13", state = "done", number = "2155550200", within = "60s" }
  new:expect { "V12: the certificate is taken", telephony = "ReceivedOperatorCertificate", certificates = 1, hfc = "FullyRegistered" }
  call:expect { "V13: the customer hears it", state = "talking", rtp_received = at_least(250), from = tg }
  call:hangup()
  call:expect { keys_destroyed = true, within = "2s" }

  -- V14
  new:expect { "V14: rebooted", telephony = "ProvisionedAccess", hfc = "ProvisionedAccess", within = "90s" }
  net.pca:expect { customers = 1, under_way = 0 }
  net.bh:expect { accounts = 1 }
  net.sc1:expect { subscribers = 1 }
  net.cmts1:expect { accounts = 1 }
  call = new:dial(bob.number)
  call:expect { state = "talking", from = bob, within = "10s" }
  call:hangup()
  call:expect { keys_destroyed = true, within = "2s" }

  -- a change, from the line itself, whose number its controller has proven
  exchange:answer { number = service, after = "2s" }
  call = new:dial(service)
  call:expect { state = "talking", within = "10s" }
  desk:enter { want = "change", options = "3way", phone = service }
  desk.request:expect { "a change by the line itself", state = "done", within = "60s" }
  call:hangup()
  claim("the options are there", net.bh:options "215-555-0200" == "3way")
  new:expect { line = "Idle", within = "10s" }
  new:expect { telephony = "ProvisionedAccess", certificates = 2, within = "90s" }

  -- another line's, which is not for bob
  exchange:answer { number = service, after = "2s" }
  call = bob:dial(service)
  call:expect { state = "talking", within = "10s" }
  desk:enter { want = "terminate", number = "215-555-0200", phone = service }
  desk.request:expect { "not by somebody else", state = "refused", reason = "csr.verify_caller", within = "60s" }
  expect_refusals { by = "csr.verify_caller", at = desk, count = 1 }
  call:hangup()
  net.pca:expect { customers = 1, under_way = 0 }
  bob:expect { line = "Idle", within = "10s" }

  -- the gateway does not answer; when it does, somebody else is on the phone
  local rule = ear:drop { from = sg, to = desk, count = 0 }
  exchange:answer { number = service, after = "2s" }
  call = bob:dial(service)
  call:expect { state = "talking", within = "10s" }
  desk:enter { want = "repair", data = "name=Shop;pay=house", phone = service }
  wait "2s"
  call:hangup()
  bob:expect { line = "Idle", within = "10s" }
  exchange:answer { number = service, after = "2s" }
  call = new:dial(service)
  call:expect { state = "talking", within = "10s" }
  rule:stop()
  desk.request:expect { "for another caller", state = "refused", reason = "csr.caller_changed", within = "2min" }
  call:hangup()
  net.pca:expect { customers = 1, repairs = 0, under_way = 0 }
  invariants.agree "in the end"
end)
