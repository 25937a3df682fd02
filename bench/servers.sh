# The web servers, each in front of ours and of libfcgi, and the ceilings and peers that
# are servers themselves.  Sourced by run.sh.

start_lighttpd() {
	mkdir -p "$dir/www"
	cat >"$dir/lighttpd.conf" <<-CONF
		server.document-root = "$dir/www"
		server.bind = "127.0.0.1"
		server.port = $port_lighttpd
		server.errorlog = "$dir/lighttpd.log"
		server.max-fds = $files
		server.max-connections = 9000
		server.listen-backlog = 4096
		server.max-keep-alive-requests = 100000000
		server.max-keep-alive-idle = 300
		server.modules = ( "mod_fastcgi" )
		fastcgi.server = (
		  "/api/realtime/" => (( "socket" => "$dir/poll.sock",
		    "check-local" => "disable", "tcp-fin-propagate" => "enable" )),
		  "/empty" => (( "socket" => "$dir/hello_empty.sock",
		    "check-local" => "disable" )),
		  "/event" => (( "socket" => "$dir/hello_event.sock",
		    "check-local" => "disable" )),
		  "/park" => (( "socket" => "$dir/park.sock",
		    "check-local" => "disable" )) )
	CONF
	PATH=$PATH:/usr/sbin start lighttpd lighttpd -D -f "$dir/lighttpd.conf"
	until_true "lighttpd does not answer" listens "$port_lighttpd"
}

has_nginx() {
	PATH=$PATH:/usr/sbin command -v nginx >/dev/null
}

# start_nginx NAME PORT WORKERS: with $dir/NAME.top and NAME.http between what all have.
start_nginx() {
	user=
	[ "$(id -u)" -ne 0 ] || user="user root root;"
	mkdir -p "$dir/nginx"
	cat >"$dir/$1.conf" <<-CONF
		$(cat "$dir/$1.top")
		$user
		daemon off; worker_processes $3; pid $dir/$1.pid;
		error_log $dir/$1.log;
		events { worker_connections $((files * 9 / 10)); }
		http {
		access_log off; keepalive_requests 100000000; keepalive_timeout 600;
		client_body_temp_path $dir/nginx; proxy_temp_path $dir/nginx;
		fastcgi_temp_path $dir/nginx; uwsgi_temp_path $dir/nginx;
		scgi_temp_path $dir/nginx;
		fastcgi_read_timeout 600;
		fastcgi_param REQUEST_METHOD \$request_method;
		fastcgi_param REQUEST_URI \$request_uri;
		fastcgi_param QUERY_STRING \$query_string;
		fastcgi_param REMOTE_ADDR \$remote_addr;
		fastcgi_param SERVER_PROTOCOL \$server_protocol;
		$(cat "$dir/$1.http") }
	CONF
	PATH=$PATH:/usr/sbin start "$1" nginx -e "$dir/$1.log" -c "$dir/$1.conf"
	until_true "$1 does not answer" listens "$2"
	# It listens before they are there, and it is they who are measured.
	eval "until_true \"$1 has no workers\" has_children \"\$pid_$1\" $3"
}

# With connections that are kept: as many as there are clients.
start_nginx_kept() {
	: >"$dir/nginx_kept.top"
	cat >"$dir/nginx_kept.http" <<-CONF
		upstream poll { server unix:$dir/poll.sock; keepalive 64; }
		upstream hello { server unix:$dir/hello_kept.sock; keepalive 64; }
		fastcgi_keep_conn on;
		server { listen 127.0.0.1:$port_nginx backlog=4096;
		location /api/realtime/ { fastcgi_pass poll; }
		location /empty { fastcgi_pass hello; } }
	CONF
	start_nginx nginx_kept "$port_nginx" 1
}

# Two workers, for a held request takes two descriptors of one.
start_nginx_held() {
	: >"$dir/nginx_held.top"
	cat >"$dir/nginx_held.http" <<-CONF
		server { listen 127.0.0.1:$port_nginx reuseport backlog=4096;
		location /api/realtime/ { fastcgi_pass unix:$dir/poll.sock; }
		location /park { fastcgi_pass unix:$dir/park.sock; } }
	CONF
	start_nginx nginx_held "$port_nginx" 2
}

# --- ceilings ---

# start_hello NAME THREADS BODY
start_hello() {
	start "hello_$1" "$tools/fcgi-hello" "$dir/hello_$1.sock" "$2" "$3"
	until_true "fcgi-hello does not start" test -S "$dir/hello_$1.sock"
}

start_park() {
	rm -f "$dir/park.sock"
	[ -p "$dir/park.in" ] || mkfifo "$dir/park.in"
	start park "$tools/fcgi-park" "$dir/park.sock" 4
	until_true "fcgi-park does not start" test -S "$dir/park.sock"
}

start_lws() {
	[ -p "$dir/lws.in" ] || mkfifo "$dir/lws.in"
	start lws "$tools/lws-broadcast" "$port_lws"
	until_true "lws-broadcast does not listen" listens "$port_lws"
}

start_raw() {
	[ -p "$dir/raw.in" ] || mkfifo "$dir/raw.in"
	start raw "$tools/raw-send" "$port_raw"
	until_true "raw-send does not listen" listens "$port_raw"
}

# --- peers: what they are called, whether they are here, how they start ---

peers="nchan node socketio"

title() {
	case $1 in
	lws)		echo "lws on libev" ;;
	raw)		echo "send() loop" ;;
	node)		echo "Node ws" ;;
	socketio)	echo "Socket.IO" ;;
	*)		echo "$1" ;;
	esac
}

nchan_module=/usr/lib/nginx/modules/ngx_nchan_module.so
# Prints why a peer cannot be measured; nothing: it can.
why_not() {
	case $1 in
	nchan)		has_nginx && [ -e "$nchan_module" ] ||
			    echo "libnginx-mod-nchan is not installed" ;;
	node)		[ -d "$here/node_modules/ws" ] &&
			    command -v node >/dev/null ||
			    echo "npm brought no ws" ;;
	socketio)	[ -d "$here/node_modules/socket.io" ] &&
			    command -v node >/dev/null ||
			    echo "npm brought no socket.io" ;;
	esac
}

start_nchan() {
	echo "load_module $nchan_module;" >"$dir/nchan.top"
	cat >"$dir/nchan.http" <<-CONF
		server { listen 127.0.0.1:$port_nchan backlog=4096;
		location = /pub { nchan_publisher; nchan_channel_id bench;
		  nchan_message_buffer_length 1000; }
		location = /ws { nchan_subscriber websocket;
		  nchan_channel_id bench; nchan_subscriber_first_message newest; }
		location = /hold { nchan_subscriber longpoll;
		  nchan_channel_id bench; nchan_subscriber_first_message newest; }
		location = /poll { nchan_subscriber intervalpoll;
		  nchan_channel_id bench; } }
	CONF
	start_nginx nchan "$port_nchan" 1
	# shellcheck disable=SC2034 # by name, in start_peer
	worker_nchan=$(children_of "$pid_nchan")
}
start_node() {
	start node node "$here/peers/ws.js" "$port_node" "$dir/jwt.key"
	worker_node=$pid_node
	until_true "Node ws does not listen" listens "$port_node"
}
start_socketio() {
	start socketio node "$here/peers/socketio.js" "$port_socketio" "$dir/jwt.key"
	worker_socketio=$pid_socketio
	until_true "Socket.IO does not listen" listens "$port_socketio"
}
