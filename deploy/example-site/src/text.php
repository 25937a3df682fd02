<?php
// The site's languages: every string it says, English and Traditional Chinese side by side.
// The script gets the same table.  {name} is replaced by a value.
declare(strict_types=1);

const LANGUAGES = ['en' => 'English', 'zh-TW' => '繁體中文'];
const STRINGS = [
	'site' => ['Parlour', '會客室'],
	'skip' => ['Skip to writing a message', '跳至撰寫訊息'],
	'language' => ['Language', '語言'],
	'theme' => ['Theme', '外觀'],
	'theme_auto' => ['System', '跟隨系統'],
	'theme_light' => ['Light', '淺色'],
	'theme_dark' => ['Dark', '深色'],
	'apply' => ['Apply', '套用'],
	'close' => ['Close', '關閉'],
	'back' => ['Back', '返回'],
	'save' => ['Save', '儲存'],
	'cancel' => ['Cancel', '取消'],

	'sign_in' => ['Sign in', '登入'],
	'sign_out' => ['Sign out', '登出'],
	'sign_in_intro' => ['Choose a name and come in. A name that nobody has yet becomes yours.',
		'取個名字就能進來。尚未有人使用的名字就是你的。'],
	'your_name' => ['Your name', '你的名字'],
	'password' => ['Password', '密碼'],
	'password_hint' => ['Only if you have set one', '有設定密碼才需要填寫'],
	'password_new' => ['New password', '新密碼'],
	'password_new_hint' => ['At least 8 characters; empty leaves it as it is', '至少 8 個字元；留空則不變更'],

	'rooms' => ['Rooms', '聊天室'],
	'your_rooms' => ['Your rooms', '你的聊天室'],
	'other_rooms' => ['More rooms', '其他聊天室'],
	'no_rooms' => ['You are in no room yet.', '你還沒有加入聊天室。'],
	'new_room' => ['New room', '建立聊天室'],
	'room_name' => ['Name of the room', '聊天室名稱'],
	'room_description' => ['What is it about?', '聊些什麼？'],
	'room_private' => ['Private: only people who are invited', '私人：僅限受邀者'],
	'create' => ['Create room', '建立'],
	'private_room' => ['Private room', '私人聊天室'],
	'unread' => ['{n} unread', '{n} 則未讀'],
	'join' => ['Join', '加入'],
	'join_hint' => ['You are looking in. Join to find this room among yours.', '你正在旁觀。加入後會列在你的聊天室中。'],
	'leave' => ['Leave room', '離開聊天室'],
	'members' => ['Members', '成員'],
	'about_room' => ['About this room', '聊天室資訊'],
	'invite' => ['Invite', '邀請'],
	'invite_name' => ['Name of a person', '對方的名字'],
	'no_room' => ['No room is open', '沒有開啟的聊天室'],
	'no_room_hint' => ['Choose one from the list, or make a new one.', '從清單中選擇，或建立新的聊天室。'],
	'left_room' => ['You are no longer in “{room}”.', '你已不在「{room}」中。'],
	'room_gone' => ['“{room}” was removed.', '「{room}」已被移除。'],

	'people' => ['People', '成員與訪客'],
	'online' => ['Online', '線上'],
	'offline' => ['Offline', '離線'],
	'you' => ['you', '你'],
	'profile' => ['Your profile', '個人檔案'],
	'bio' => ['About you', '自我介紹'],
	'colour' => ['Colour', '代表色'],
	'colour_teal' => ['Teal', '藍綠'], 'colour_blue' => ['Blue', '藍'], 'colour_violet' => ['Violet', '紫'],
	'colour_pink' => ['Pink', '粉紅'], 'colour_red' => ['Red', '紅'], 'colour_orange' => ['Orange', '橘'],
	'colour_green' => ['Green', '綠'], 'colour_brown' => ['Brown', '棕'], 'colour_slate' => ['Slate', '灰藍'],
	'block' => ['Block', '封鎖'],
	'unblock' => ['Unblock', '解除封鎖'],
	'blocked' => ['Blocked', '已封鎖'],
	'block_hint' => ['If you block somebody, you do not see what they write.', '封鎖之後，你不會看到對方的訊息。'],
	'no_bio' => ['Nothing written yet.', '尚未填寫。'],

	'messages' => ['Messages in {room}', '{room} 的訊息'],
	'empty_room' => ['Nobody has said anything here yet.', '這裡還沒有人說話。'],
	'empty_room_hint' => ['Be the first.', '來當第一個吧。'],
	'older' => ['Show older messages', '顯示較早的訊息'],
	'loading' => ['Loading…', '載入中…'],
	'newest' => ['Newest messages', '最新訊息'],
	'write' => ['Write to {room}', '傳訊息到 {room}'],
	'write_hint' => ['Enter sends, Shift and Enter begins a new line', 'Enter 傳送，Shift + Enter 換行'],
	'send' => ['Send', '傳送'],
	'sending' => ['Sending…', '傳送中…'],
	'waiting' => ['Waiting for a connection', '等待連線'],
	'not_sent' => ['Not sent: {why}', '未送出：{why}'],
	'retry' => ['Try again', '重試'],
	'discard' => ['Discard', '捨棄'],
	'edit' => ['Edit', '編輯'],
	'edit_label' => ['Edit your message', '編輯訊息'],
	'delete' => ['Delete', '刪除'],
	'edited' => ['edited', '已編輯'],
	'deleted' => ['This message was deleted.', '此訊息已刪除。'],
	'typing_one' => ['{a} is writing…', '{a} 正在輸入…'],
	'typing_two' => ['{a} and {b} are writing…', '{a} 與 {b} 正在輸入…'],
	'typing_many' => ['Several people are writing…', '好幾個人正在輸入…'],
	'today' => ['Today', '今天'],
	'yesterday' => ['Yesterday', '昨天'],

	'connection' => ['Connection', '連線'],
	'status_websocket' => ['Live by WebSocket', '即時連線：WebSocket'],
	'status_polling' => ['Live by polling', '即時連線：輪詢'],
	'status_offline' => ['Offline, trying again', '離線，正在重試'],
	'status_connecting' => ['Connecting', '連線中'],
	'status_ended' => ['Signed out', '已登出'],
	'polling_only' => ['Polling only', '僅用輪詢'],
	'unsent' => ['{n} unsent', '{n} 則未送出'],
	'no_script' => ['JavaScript is off. Everything works; load the page again to see what is new.',
		'JavaScript 已停用。功能仍可使用；重新載入頁面即可看到新訊息。'],
	'reload' => ['Reload', '重新載入'],
	'session_over' => ['You are signed out.', '你已登出。'],

	'error_server' => ['Something went wrong on our side. Please try again.', '伺服器發生錯誤，請再試一次。'],
	'error_network' => ['The site cannot be reached.', '無法連線到網站。'],
	'error_form' => ['This form is too old. Please try again.', '表單已過期，請再試一次。'],
	'error_sign_in' => ['Please sign in first.', '請先登入。'],
	'error_name' => ['A name has 1 to 40 characters.', '名字須為 1 到 40 個字元。'],
	'error_name_taken' => ['Somebody has this name already.', '這個名字已有人使用。'],
	'error_password' => ['That is not the password of this name.', '密碼不正確。'],
	'error_password_short' => ['A password has 8 to 72 characters.', '密碼須為 8 到 72 個字元。'],
	'error_locked' => ['Too many attempts. Please wait a quarter of an hour.', '嘗試次數過多，請等待十五分鐘。'],
	'error_message' => ['A message has 1 to 4000 characters.', '訊息須為 1 到 4000 個字元。'],
	'error_room_name' => ['A room’s name has 1 to 60 characters.', '聊天室名稱須為 1 到 60 個字元。'],
	'error_too_long' => ['That is too long.', '內容過長。'],
	'error_room' => ['There is no such room.', '找不到這個聊天室。'],
	'error_person' => ['There is nobody of this name.', '找不到這個人。'],
	'error_not_yours' => ['That is not yours to change.', '你無法變更這項內容。'],
	'error_action' => ['There is no such action.', '沒有這項操作。'],
];

// The language of this request: chosen, or the first one understood of Accept-Language
// (RFC 9110 section 12.5.4).
function language(): string
{
	$chosen = $_COOKIE['lang'] ?? '';
	if (isset(LANGUAGES[$chosen]))
		return $chosen;
	$best = ['en', 0.0];
	foreach (explode(',', $_SERVER['HTTP_ACCEPT_LANGUAGE'] ?? '') as $part) {
		if (!preg_match('/^\s*(en|zh)\b[^;]*(?:;\s*q=([01](?:\.\d{0,3})?))?\s*$/i', $part, $m))
			continue;
		$q = isset($m[2]) ? (float)$m[2] : 1.0;
		if ($q > $best[1])
			$best = [strtolower($m[1]) === 'zh' ? 'zh-TW' : 'en', $q];
	}
	return $best[0];
}

function t(string $key, array $values = []): string
{
	$text = STRINGS[$key][language() === 'en' ? 0 : 1];
	foreach ($values as $name => $value)
		$text = str_replace('{' . $name . '}', (string)$value, $text);
	return $text;
}

function strings(): array
{
	$column = language() === 'en' ? 0 : 1;
	return array_map(fn($pair) => $pair[$column], STRINGS);
}
