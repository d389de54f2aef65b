--- Lawful intercept of calls between CTAs and the PSTN, either way [0094], [0095], [0099]: with a warrant the CTA's controller yields
--- the key that opens what was said, whether it keeps keys itself or would park them elsewhere; without one, or once the call is over,
--- it yields nothing. A call from the PSTN has no source controller: the called CTA's is in its place.
scenario {
  title = "Intercept of calls with the PSTN", tags = { "calls", "intercept" },
  args = { escrow = "kept" }, -- or cookie: where controllers have the keys of their calls
}

local net = topology "two_branches" { escrow = { sc1 = args.escrow, sc2 = args.escrow }, operations = true }
local trunk = net:link "trunk" { subnet = "10.203.0.0/24", delay = "1ms", rate = "100Mbit" }
local tg = net:trunk_gateway "tg" {
  on = { { net.lan4, "10.104.0.61/24" }, { trunk, "10.203.0.21/24" } }, gateway = "10.104.0.1", kdc = net.kdc1,
  pstn = "10.203.0.10", circuits = 2,
}
local sg = net:signaling_gateway "sg" {
  on = { { net.lan4, "10.104.0.60/24" }, { trunk, "10.203.0.20/24" } }, gateway = "10.104.0.1", kdc = net.kdc1,
  pstn = "10.203.0.10", trunk_gateway = tg, prefixes = "212", circuits = 2,
}
local exchange = net:pstn "exchange" {
  on = { trunk, "10.203.0.10/24" }, signaling_gateway = sg, trunk_gateway = tg, circuits = 2,
  phones = "212-555-0001",
}
local phone = "212-555-0001"
local alice = net:cta "alice" { provisioned = "215-555-0101", auto_answer = "1s" }
local lea = net:law_enforcement "lea" { on = { net.lan4, "10.104.0.70/24" }, gateway = "10.104.0.1", kdc = net.kdc1, tap = net.lan4 }

never { "I4: each record is one call's, on its caller's account", record = "wrong" }
never { "I4: no answered call of a CTA goes free", record = "missing" }

local function intercepted(number)
  local none = lea:request { number = number, from = net.sc1 }
  none:expect { "no warrant", ready = true, granted = false, by = "intercept.authorise", within = "15s" }
  net.sc1:warrant { number = number, to = lea }
  wait "3s"
  local release = lea:request { number = number, from = net.sc1 }
  release:expect { "with a warrant", granted = true, within = "15s" }
  wait "1s"
  release:expect { "all that was said is open", packets = at_least(150), decrypted = release.packets }
end

local function over(call, number)
  call:expect { state = "over", within = "2s" }
  both(net.sc1, net.sc2):expect { calls = 0, call_keys = 0, within = "3s" }
  both(sg, tg):expect { calls = 0, call_keys = 0, within = "3s" }
  lea:request { number = number, from = net.sc1 }:expect {
    "after the call", ready = true, granted = false, by = "intercept.no_call", within = "15s",
  }
  net.sc1:revoke { number = number }
end

run(function()
  alice:boot()
  alice:expect { telephony = "ProvisionedAccess", within = "5s" }
  both(sg, exchange):expect { circuits_idle = 2, within = "2s" }

  -- PSTN -> CTA, once by the number that is called, once by the one that calls.
  for _, number in ipairs { alice.number, "2125550001" } do
    local call = exchange:dial { from = phone, number = alice.number }
    call:expect { state = "talking", within = "5s" }
    net.sc1:expect { "held while the call lasts", call_keys = 1 }
    intercepted(number)
    call:hangup()
    over(call, number)
  end

  -- CTA -> PSTN.
  exchange:answer { number = phone }
  local call = alice:dial(phone)
  call:expect { state = "talking", within = "5s" }
  intercepted(alice.number)
  call:hangup()
  over(call, alice.number)

  net.bh:expect { "a record of the call that a customer made, and of no other", records = 1, within = "5s" }
  sg:expect { from_pstn_answered = 2, from_pstn_s = at_least(8) }
end)
