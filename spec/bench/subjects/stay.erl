%% Connections that stay, in Erlang: an echo over gen_tcp, a process each, with
%% two bytes of length in front of a message.
%%
%% Run: escript spec/bench/subjects/stay.erl PORT

-mode(compile).
-export([main/1]).

main([Port]) ->
    {ok, Listener} = gen_tcp:listen(list_to_integer(Port), [
        binary, {ip, {127, 0, 0, 1}}, {packet, 2}, {active, false}, {nodelay, true},
        {backlog, 4096}, {reuseaddr, true}
    ]),
    accept(Listener).

accept(Listener) ->
    {ok, Socket} = gen_tcp:accept(Listener),
    Pid = spawn(fun() -> receive ready -> inet:setopts(Socket, [{active, true}]) end, echo(Socket) end),
    ok = gen_tcp:controlling_process(Socket, Pid),
    Pid ! ready,
    accept(Listener).

echo(Socket) ->
    receive
        {tcp, Socket, Data} ->
            gen_tcp:send(Socket, Data),
            echo(Socket);
        _ ->
            ok
    end.
