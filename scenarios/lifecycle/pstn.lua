--- Calls between CTAs and plain phones of the PSTN through the POTS gateways (patent [0094]-[0095]): either way, ended by caller
--- or called, busy, unknown, declined, given up, not answered; all circuits busy; the signaling link cut; both gateways and the
--- exchange restarted in mid-call. Whatever happens: no key is left and all circuits are free again. Calls into the PSTN are on their
--- caller's account; for calls out of it no customer pays. Keys that are pressed arrive at the other end.
scenario { title = "CTA and PSTN", tags = { "calls", "fig1" }, args = { wan = "10ms", codec = "PCMU" } }

local net = topology "two_branches" { wan = { delay = args.wan }, operations = true }
-- Branch 3 of FIG. 1: the gateways, and the exchange behind them. Signaling link and circuits are the link "trunk".
local trunk = net:link "trunk" { subnet = "10.203.0.0/24", delay = "1ms", rate = "100Mbit" }
local tg = net:trunk_gateway "tg" {
  on = { { net.lan4, "10.104.0.41/24" }, { trunk, "10.203.0.21/24" } }, gateway = "10.104.0.1", kdc = net.kdc1,
  pstn = "10.203.0.10", circuits = 2,
}
local sg = net:signaling_gateway "sg" {
  on = { { net.lan4, "10.104.0.40/24" }, { trunk, "10.203.0.20/24" } }, gateway = "10.104.0.1", kdc = net.kdc1,
  pstn = "10.203.0.10", trunk_gateway = tg, prefixes = "212", circuits = 2,
}
local exchange = net:pstn "exchange" {
  on = { trunk, "10.203.0.10/24" }, signaling_gateway = sg, trunk_gateway = tg, circuits = 2,
  phones = "212-555-0001,212-555-0002,212-555-0003",
}
local alice = net:cta "alice" { provisioned = "215-555-0101", codec = args.codec }
local bob = net:cta "bob" { provisioned = "610-555-0102" }

never { "voice of a CTA in clear", message = { proto = "rtp", cover = "clear" } }
never { "signaling in clear", message = { proto = "sip", cover = "clear", fate = "accepted" } }
never { "I4: each record is one call's, on its caller's account", record = "wrong" }
never { "I4: no answered call of a CTA goes free", record = "missing" }

-- Nothing is left of a call but the servers' associations among themselves.
local function quiet(within)
  both(alice, bob):expect { line = "Idle", associations = 0, within = within }
  both(net.sc1, net.sc2):expect { calls = 0, call_keys = 0, parties = 0, within = within }
  both(sg, tg):expect { calls = 0, call_keys = 0, within = within }
  both(sg, exchange):expect { circuits_idle = 2, within = within }
  exchange:expect { calls = 0 }
end

-- A CTA calls a phone, and they talk.
local function call_out(number)
  exchange:answer { number = number, after = "1s" }
  local call = alice:dial(number)
  call:expect { state = "ringing", within = "3s" }
  both(sg, exchange):expect { circuits_busy = 1 }
  call:expect { state = "talking", within = "3s" }
  return call, exchange:call(number)
end

-- A phone calls a CTA, and they talk.
local function call_in(number)
  bob:answer { after = "1s" }
  local call = exchange:dial { from = number, number = bob.number }
  call:expect { state = "ringing", within = "3s" }
  bob:expect { line = "Ringing" }
  call:expect { state = "talking", within = "3s" }
  return call, bob.call
end

run(function()
  alice:boot()
  bob:boot()
  both(alice, bob):expect { telephony = "ProvisionedAccess", within = "5s" }
  both(sg, exchange):expect { link_up = true, circuits_idle = 2, circuits_blocked = 0, within = "1s" }

  -- CTA -> PSTN; the caller hangs up. Its voice is heard on the phone, and the phone's here.
  local call, phone = call_out "212-555-0001"
  wait "10s"
  call:expect { rtp_received = at_least(495), from = tg, rtp_lost = 0, rtp_refused = 0 }
  phone:expect { state = "talking", peer = "2155550101", voice_received = at_least(495), voice_heard = at_least(300) }
  tg:expect { rtp_refused = 0, circuit_refused = 0, slips = at_most(2) }

  -- Keys: telephone events in the CTA's voice, tones in the circuit's, either way.
  call:press "4711#"
  phone:press "0815*"
  wait "3s"
  phone:expect { "the phone hears the CTA's", digits = "4711#" }
  call:expect { "and the CTA the phone's", digits = "0815*", rtp_refused = 0 }
  tg:expect { keys_to_circuit = 5, keys_to_cta = 5, rtp_refused = 0, slips = at_most(6) }
  call:hangup()
  call:expect { state = "over", keys_destroyed = true, within = "1s" }
  phone:expect { state = "over", cause = 16, within = "1s" }
  quiet "2s"
  net.sc1:expect { records = 1 }
  net.bh:expect { records = 1 }
  claim("alice pays thirteen seconds", net.bh:calls(alice.number) == 1 and net.bh:seconds(alice.number) >= 13 and net.bh:seconds(alice.number) <= 15,
        net.bh:seconds(alice.number))

  -- The phone hangs up.
  call, phone = call_out "212-555-0001"
  wait "2s"
  phone:hangup()
  call:expect { state = "over", reason = "other end hung up", keys_destroyed = true, within = "1s" }
  quiet "2s"

  -- PSTN -> CTA; the called one hangs up, then the caller.
  call, phone = call_in "212-555-0002"
  wait "10s"
  call:expect { voice_received = at_least(495), voice_heard = at_least(300) }
  phone:expect { peer = "2125550002", rtp_received = at_least(495), from = tg, rtp_lost = 0, rtp_refused = 0 }
  phone:hangup()
  call:expect { state = "over", cause = 16, within = "1s" }
  phone:expect { keys_destroyed = true, within = "1s" }
  quiet "2s"
  call, phone = call_in "212-555-0002"
  wait "2s"
  call:hangup()
  phone:expect { state = "over", reason = "other end hung up", keys_destroyed = true, within = "1s" }
  quiet "2s"
  net.bh:expect { "who calls from the PSTN is no customer of ours", records = 2 }

  -- Both ways at once, on two circuits; a third call finds none, whichever way.
  call, phone = call_out "212-555-0001"
  local other = call_in "212-555-0002"
  wait "2s"
  both(sg, exchange):expect { circuits_busy = 2, circuits_idle = 0 }
  exchange:dial { from = "212-555-0003", number = bob.number }:expect { state = "failed", cause = 34 }
  other:expect { state = "talking" }
  call:hangup()
  call:expect { keys_destroyed = true, within = "2s" }
  other:expect { state = "talking", voice_heard = at_least(1) }
  other:hangup()
  quiet "2s"

  -- Busy, unknown, declined, given up.
  local third = exchange:dial { from = "212-555-0001", number = bob.number }
  third:expect { state = "ringing", within = "3s" }
  alice:dial("212-555-0001"):expect { state = "failed", status = 486, within = "3s" }
  exchange:dial { from = "212-555-0002", number = bob.number }:expect { state = "failed", cause = 17, within = "3s" }
  bob:hangup() -- declines
  third:expect { state = "failed", within = "2s" }
  quiet "3s"
  alice:dial("212-555-0099"):expect { state = "failed", status = 404, within = "3s" }
  exchange:dial { from = "212-555-0001", number = "610-555-0199" }:expect { state = "failed", cause = 1, within = "3s" }
  exchange:dial { from = "212-555-0001", number = "303-555-0199" }:expect { state = "failed", cause = 1, within = "3s" }
  call = alice:dial "212-555-0001"
  call:expect { state = "ringing", within = "3s" }
  exchange:hangup "212-555-0001" -- declines
  call:expect { state = "failed", status = 403, within = "2s" }
  call = alice:dial "212-555-0001"
  call:expect { state = "ringing", within = "3s" }
  alice:hangup()
  exchange:expect { ringing = 0, within = "2s" }
  call = exchange:dial { from = "212-555-0001", number = bob.number }
  call:expect { state = "ringing", within = "3s" }
  call:hangup()
  bob:expect { line = "Idle", within = "2s" }
  quiet "3s"

  -- Nobody answers: a CTA gives up after a minute, the exchange after 90 s (T9).
  alice:dial("212-555-0001"):expect { state = "failed", reason = "no answer", within = "65s" }
  quiet "3s"
  exchange:dial { from = "212-555-0001", number = alice.number }:expect { state = "failed", cause = 19, within = "95s" }
  quiet "3s"

  -- The signaling link is cut in mid-call: the call goes on, and is ended when the link is back.
  call, phone = call_out "212-555-0001"
  local links = trunk
  links:cut()
  wait "2s"
  alice:hangup()
  links:mend()
  phone:expect { state = "over", cause = 16, within = "40s" }
  quiet "40s"

  -- Longer: calls are refused meanwhile.
  links:cut()
  both(sg, exchange):expect { link_up = false, within = "60s" }
  alice:dial("212-555-0001"):expect { state = "failed", status = 503, within = "3s" }
  exchange:dial { from = "212-555-0001", number = bob.number }:expect { state = "failed", cause = 38 }
  links:mend()
  both(sg, exchange):expect { link_up = true, circuits_idle = 2, within = "60s" }
  quiet "40s"

  -- Restarts in mid-call.
  call, phone = call_out "212-555-0001"
  exchange:restart()
  sg:expect { circuits_idle = 2, calls = 0, within = "30s" }
  call:expect { state = "over", keys_destroyed = true, within = "3s" }
  exchange:expect { circuits_idle = 2, link_up = true, within = "30s" }
  quiet "40s"

  call, phone = call_out "212-555-0001"
  sg:restart()
  sg:expect { calls = 0, call_keys = 0, associations = 0 }
  phone:expect { state = "over", cause = 31, within = "60s" }
  call:expect { state = "over", reason = "voice lost", keys_destroyed = true, within = "15s" }
  tg:expect { calls = 0, within = "10s" }
  quiet "70s"

  call, phone = call_out "212-555-0001"
  tg:restart()
  call:expect { state = "over", reason = "voice lost", within = "8s" }
  call:expect { keys_destroyed = true, within = "1s" }
  phone:expect { state = "over", within = "2s" }
  quiet "70s"

  -- Everything works as before.
  call, phone = call_out "212-555-0003"
  other = call_in "212-555-0002"
  wait "2s"
  call:expect { rtp_received = at_least(95) }
  other:expect { voice_heard = at_least(50) }
  call:hangup()
  other:hangup()
  quiet "3s"
  both(net.sc1, net.sc2):expect { records_waiting = 0, records_lost = 0 }
  net.sc2:expect { "bob has called nobody", records = 0 }
  net.bh:expect { "and alice pays for hers", records = net.sc1.records, refused = 0 }
  claim("all of them", net.bh:records_of(alice.number) == net.bh:get "records", net.bh:records_of(alice.number))
end)
