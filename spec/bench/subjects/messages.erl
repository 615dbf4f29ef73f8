%% How many 100-byte binaries a second one process of Erlang sends to another,
%% each on a scheduler of its own.
%%
%% Run: BENCH_MESSAGES=1000000 escript spec/bench/subjects/messages.erl

-mode(compile).
-export([main/1]).

-define(GRANT, 8192).
-define(AHEAD, 32768).

main(_) ->
    Asked = list_to_integer(os:getenv("BENCH_MESSAGES", "1000000")),
    Count = Asked div ?GRANT * ?GRANT,
    run(Count),
    io:format("stream ~b~ndone~n", [run(Count)]).

%% Messages a second.
run(Count) ->
    Self = self(),
    spawn_opt(fun() -> Self ! {rate, rate(Count)} end, [link, {scheduler, 1}]),
    receive {rate, Rate} -> Rate end.

rate(Count) ->
    Self = self(),
    Text = binary:copy(<<"x">>, 100),
    To = spawn_opt(fun() -> count(Self, 0) end, [link, {scheduler, 2}]),
    Start = erlang:monotonic_time(nanosecond),
    send(To, Text, 0, ?AHEAD, Count),
    Count * 1000000000 div (erlang:monotonic_time(nanosecond) - Start).

send(To, Text, Sent, Granted, Count) when Sent < Granted, Sent < Count ->
    To ! Text,
    send(To, Text, Sent + 1, Granted, Count);
send(To, Text, Sent, _, Count) ->
    receive
        {got, Count} -> ok;
        {got, Got} -> send(To, Text, Sent, Got + ?AHEAD, Count)
    end.

count(From, Got) ->
    receive _ -> ok end,
    (Got + 1) rem ?GRANT =:= 0 andalso (From ! {got, Got + 1}),
    count(From, Got + 1).
